package tlsconn

import (
	"errors"
	"io"
)

// MaxRecord is how long a record can be, with all that encryption adds (RFC 5246, section 6.2.3).
const MaxRecord = header + MaxPlaintext + 2048

// Decrypt appends to plain what the records in ciphertext say, and to answers what crypto/tls has for the peer by itself:
// an alert, or its part of a KeyUpdate. Answers are at most about as long as the ciphertext that they answer. It goes on
// while plain has room for MaxPlaintext bytes, which it does not exceed; rest is what is left for the next call. Half a
// record at the end is kept.
//
// The error is io.EOF when the peer has sent its close_notify. After any other, c is Spoilt, but what was decrypted and
// answered still counts. If plain has no room for anything, the error is io.ErrShortBuffer and nothing has happened. A
// panic of a ClientSessionCache, which is called for session tickets, is a *PanicError.
func (c *Conn) Decrypt(plain, ciphertext, answers []byte) (more, rest, out []byte, err error) {
	switch {
	case c.spoilt:
		return plain, ciphertext, answers, errSpoilt
	case !c.up.Load():
		return plain, ciphertext, answers, errNotUp
	case cap(plain)-len(plain) < MaxPlaintext && len(ciphertext) > 0:
		return plain, ciphertext, answers, io.ErrShortBuffer
	}
	c.in, c.out = ciphertext, answers
	for n := 0; len(c.in) > 0 && err == nil && cap(plain)-len(plain) >= MaxPlaintext; {
		n, err = c.read(plain[len(plain):cap(plain)])
		plain = plain[:len(plain)+n]
	}
	switch err {
	case nil, io.EOF:
	case errDry:
		err = nil
	default:
		c.spoilt = true
	}
	return plain, c.Unread(), c.Output(), err
}

// read is what tls.Conn.Read reads of one record.
func (c *Conn) read(p []byte) (n int, err error) {
	defer c.guard(&err)
	return c.tls.Read(p)
}

// Encrypt appends to out the records that carry plain. After an error c is Spoilt.
func (c *Conn) Encrypt(out, plain []byte) (records []byte, err error) {
	switch {
	case c.spoilt:
		return out, errSpoilt
	case !c.up.Load():
		return out, errNotUp
	}
	c.out = out
	if _, err = c.write(plain); err != nil {
		c.spoilt = true
	}
	return c.Output(), err
}

func (c *Conn) write(p []byte) (n int, err error) {
	defer c.guard(&err)
	return c.tls.Write(p)
}

// CloseNotify appends to out the record which says that nothing more will be sent. Nothing can be encrypted after it.
func (c *Conn) CloseNotify(out []byte) (records []byte, err error) {
	switch {
	case c.spoilt:
		return out, errSpoilt
	case !c.up.Load():
		return out, errNotUp
	}
	c.out = out
	if err = c.closeWrite(); err != nil {
		c.spoilt = true
	}
	return c.Output(), err
}

func (c *Conn) closeWrite() (err error) {
	defer c.guard(&err)
	return c.tls.CloseWrite()
}

// MidRecord reports whether a part of a record has come and not the rest.
func (c *Conn) MidRecord() bool { return c.framing.midRecord() }

var (
	errSpoilt = errors.New("tlsconn: TLS has failed on this connection")
	errNotUp  = errors.New("tlsconn: the handshake is not over")
)
