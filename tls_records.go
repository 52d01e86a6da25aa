package switchboard

import (
	"fmt"
	"io"
	"net"
	"syscall"
)

const (
	// maxPlaintext is how many bytes a TLS record may carry (RFC 8446, section 5.1).
	maxPlaintext = 16 << 10

	// maxRecord is how long a record can be, with all that encryption adds (RFC 5246, section 6.2.3).
	maxRecord = recordHeader + maxPlaintext + 2048

	// sealBatch is how many bytes of records are made before the kernel is offered them.
	sealBatch = 64 << 10
)

// errCutOff is the end of input without a close_notify: somebody between may have ended it.
var errCutOff = fmt.Errorf("the peer ended the TLS connection without saying so, what it sent may be incomplete: %w",
	io.ErrUnexpectedEOF)

// decrypt takes ciphertext from the engine and offers the handler what it says. All of it is decrypted, even if the
// handler pauses in between: plaintext is never longer, so the limit on input holds for both.
func (c *Conn) decrypt(p []byte) {
	t, l := c.transport(), c.loop
	var err error
	for t.in = p; len(t.in) > 0 && err == nil && c.state == stateOpen && !t.spoilt; {
		plain := l.plain[:0]
		l.cipher = l.cipher[:0]
		if c.flags&dialled != 0 {
			l.begin(c) // a ClientSessionCache is the user's code, and may panic
		}
		for n := 0; len(t.in) > 0 && err == nil && cap(plain)-len(plain) >= maxPlaintext; {
			n, err = t.tls.Read(plain[len(plain):cap(plain)])
			plain = plain[:len(plain)+n]
		}
		if c.flags&dialled != 0 {
			l.current.Store(nil)
		}
		c.say(l.cipher)
		if len(plain) == 0 || !c.take(plain) {
			c.flush()
		}
	}
	t.in = nil
	switch {
	case err == nil || err == errDry || c.state != stateOpen:
	case err == io.EOF:
		c.endInput()
	default:
		c.spoil(&net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: err})
	}
}

// spoil ends a connection on which TLS has failed, with the last words of crypto/tls.
func (c *Conn) spoil(err error) {
	c.mu.Lock()
	c.transport().spoilt = true
	c.mu.Unlock()
	c.end(err)
	c.flush()
}

// hangUp takes the peer's end of output from the engine. In order it comes after a close_notify.
func (c *Conn) hangUp() {
	switch {
	case c.state == stateHandshaking:
		c.flags |= inputEnded
		c.handshakeEnds()
	case c.flags&inputEnded == 0:
		c.flags |= cutOff
		c.endInput()
	}
}

// say queues bytes of crypto/tls's own: of the handshake, an alert, the answer to a KeyUpdate.
func (c *Conn) say(p []byte) {
	if len(p) == 0 {
		return
	}
	t := c.transport()
	c.mu.Lock()
	t.tail = min(t.tail, c.queued) + int32(len(p))
	c.enqueue(p)
	if c.pending() >= c.loop.limits.HighWater {
		c.full.Store(true)
	}
	c.mu.Unlock()
}

// seal encrypts what Write took and offers it to the kernel, batch after batch until the kernel takes no more. Then what
// is left waits as it was written: there is never more than a batch of ciphertext. It runs on the loop; mu is held.
func (c *Conn) seal() (errno syscall.Errno) {
	t, l := c.transport(), c.loop
	for errno == 0 && c.out&(blocked|inBatch) == 0 {
		l.cipher = l.cipher[:0]
		for !t.spoilt && t.hand == nil && t.plain.queued > 0 && len(l.cipher) < sealBatch {
			p := t.plain.front(l.gather[:0], sealBatch)
			if _, err := t.tls.Write(p); err != nil {
				c.giveUpSealing(err)
				break
			}
			t.plain.dequeue(len(p))
			t.tail = 0
		}
		carries := len(l.cipher)
		if c.saysEnd(t) {
			t.tls.CloseWrite()
			t.saidEnd = true
		}
		if len(l.cipher) == 0 && c.queued == 0 {
			break
		}
		errno = l.engine.send(c, l.cipher)
		t.tail = min(t.tail, c.queued) + int32(len(l.cipher)-carries)
	}
	return errno
}

// saysEnd tells whether it is time for the close_notify. After a failure at the other end of a Pipe it never is: the peer
// would take for whole what may not be.
func (c *Conn) saysEnd(t *transport) bool {
	return t.plain.queued == 0 && !t.saidEnd && !t.spoilt && t.up.Load() &&
		(c.out&noOutput != 0 || c.ending != nil && !c.ending.abort && c.ending.err != ErrPiped)
}

// lastWords says what there is to say before c is closed, as far as the kernel takes it at once.
func (c *Conn) lastWords() {
	c.mu.Lock()
	c.out |= noOutput
	c.seal()
	c.mu.Unlock()
}

// giveUpSealing ends the connection because crypto/tls takes no more output. mu is held.
func (c *Conn) giveUpSealing(err error) {
	c.transport().spoilt = true
	if c.ending == nil {
		c.ending = &ending{err: &net.OpError{Op: "write", Net: "tcp", Addr: c.RemoteAddr(), Err: err}}
		c.stop.Store(true)
	}
}

// pending returns how many bytes wait to be sent, as far as they can be. mu is held.
func (c *Conn) pending() int {
	n := int(c.queued)
	if c.out&sealed != 0 {
		if t := c.transport(); !t.spoilt {
			n += int(t.plain.queued)
		}
	}
	return n
}

// unsent drops what was not encrypted, and returns how many bytes of what Write took are lost if the queue is too. Those
// in the queue are counted with their records' headers. mu is held.
func (t *transport) unsent(queued int32) int {
	lost := int(t.plain.queued + max(0, queued-t.tail))
	t.plain.dequeue(int(t.plain.queued))
	return lost
}

// front returns the first bytes of q in one piece, at most n: out of its first buffer if that holds a record's worth or
// is the only one, else gathered into p, a record's worth.
func (q *queue) front(p []byte, n int) []byte {
	first := q.head.B[q.headSent:]
	if len(first) >= maxPlaintext || q.head.Next == nil {
		return first[:min(len(first), n)]
	}
	for b := q.head; b != nil && len(p) < maxPlaintext; b = b.Next {
		p = append(p, first[:min(len(first), maxPlaintext-len(p))]...)
		if b.Next != nil {
			first = b.Next.B
		}
	}
	return p
}

// makeRoom gives the loop the buffers that its TLS connections share.
func (l *loop) makeRoom() {
	if l.plain == nil {
		l.plain = make([]byte, 0, max(l.limits.ReadBuffer, maxPlaintext)+maxPlaintext)
		l.gather = make([]byte, 0, maxPlaintext)
	}
}
