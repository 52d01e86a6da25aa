package switchboard

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// TLS returns what the TLS handshake of c agreed on: version, cipher, ALPN protocol, certificates. It is nil if c does not
// speak TLS, and until a handshake that StartTLS began is complete. Any goroutine may call it.
func (c *Conn) TLS() *tls.ConnectionState {
	if t := c.encryption(); t != nil {
		return t.conn.State()
	}
	return nil
}

// ListenAndServeTLS is ListenAndServe over TLS with config. One server can have listeners with and without TLS; Conn.TLS
// tells Accept which kind a connection came from. A nil config means Server.TLSConfig.
func (s *Server) ListenAndServeTLS(address string, config *tls.Config) error {
	config, err := s.serverTLS(config)
	if err != nil {
		return err
	}
	return s.listenAndServe(address, config)
}

// ServeTLS is Serve over TLS with config. A nil config means Server.TLSConfig.
func (s *Server) ServeTLS(l net.Listener, config *tls.Config) error {
	config, err := s.serverTLS(config)
	if err != nil {
		l.Close()
		return err
	}
	return s.serveListener(l, config)
}

// DialTLS is Dial over TLS with config. A nil config means the zero Config. If config has neither ServerName nor
// InsecureSkipVerify, the certificate must be valid for the host of address. Server.HandshakeTimeout limits the handshake.
// Opened is called when it is complete. Any goroutine may call it.
//
// config.Renegotiation must be RenegotiateNever, which is the default: a renegotiation would make the loop wait.
func (s *Server) DialTLS(ctx context.Context, address string, config *tls.Config, h Handler) (*Conn, error) {
	if _, err := s.run(); err != nil {
		return nil, err
	}
	config, err := configFor(config, address)
	if err != nil {
		return nil, err
	}
	return s.quietest(nil).dial(ctx, address, config, h, nil)
}

// DialTLS is Server.DialTLS on the loop of c, as Conn.Dial is. Any goroutine may call it.
func (c *Conn) DialTLS(ctx context.Context, address string, config *tls.Config, h Handler) (*Conn, error) {
	config, err := configFor(config, address)
	if err != nil {
		return nil, err
	}
	return c.loop.dial(ctx, address, config, h, c)
}

// StartTLS begins TLS on a connection that is open without it, as SMTP, IMAP and other protocols do with their STARTTLS
// command. An accepted connection is the server of the handshake, a dialled one is the client. For an accepted connection
// a nil config means Server.TLSConfig. For a dialled one config must have a ServerName or InsecureSkipVerify, and no
// renegotiation.
//
// Bytes written before are sent unencrypted. Bytes written later wait for the handshake and are encrypted. Input that the
// handler has not consumed when the method that called StartTLS returns is the beginning of the handshake. Data must
// therefore consume the command and nothing after it; then no one can smuggle plaintext in front of the encrypted stream.
// The handler gets no Data until the handshake is complete. Server.HandshakeTimeout starts now.
//
// If config is not usable, or c is not open or speaks TLS already, StartTLS returns an error and changes nothing. It
// belongs to the loop.
func (c *Conn) StartTLS(config *tls.Config) error {
	c.checkLoop("Conn.StartTLS")
	switch {
	case c.marked(stopMark), c.state == stateGone:
		return c.closedError("starttls")
	case c.state != stateOpen, c.flags&inputEnded != 0:
		return c.tlsError("starttls", errors.New("the connection is not open"))
	case c.flags&secured != 0:
		return c.tlsError("starttls", errors.New("it has TLS already"))
	}
	if _, ok := c.handler.(*pipe); ok {
		return c.tlsError("starttls", errors.New("it is joined with another connection by Pipe"))
	}
	client := c.flags&dialled != 0
	var err error
	if client {
		err = checkClient(config)
	} else {
		config, err = c.Server().serverTLS(config)
	}
	if err != nil {
		return c.tlsError("starttls", err)
	}
	c.secure(config, client)
	c.become(stateHandshaking)
	c.flags |= upgraded
	c.flags &^= inputFull
	c.extra().since = c.loop.clock()
	c.schedule()
	c.later(todoHandshake) // when the handler has returned, and has left what it does not consume
	return nil
}

// ClientHello reads the first message of a TLS client, with which p begins: the name of the server that it asks for
// (ServerName), its protocols and versions. A proxy can choose a target with it and pass the whole stream on, without
// decrypting it. While more bytes are needed the error is io.ErrUnexpectedEOF; any other error is final. No ClientHello is
// longer than 64 KiB. The Conn of the result is nil.
func ClientHello(p []byte) (*tls.ClientHelloInfo, error) { return tlsconn.ClientHello(p) }

// configFor completes a client's configuration as tls.Dial does.
func configFor(config *tls.Config, address string) (*tls.Config, error) {
	if config == nil {
		config = &tls.Config{}
	}
	d := dialing{address: address}
	if config.ServerName == "" && !config.InsecureSkipVerify && !d.isPath() {
		config = config.Clone()
		host, _, _ := net.SplitHostPort(address) // dial says what is wrong with it
		config.ServerName = cmp.Or(host, "localhost")
	}
	if err := checkClient(config); err != nil {
		return nil, d.failure(err)
	}
	return config, nil
}

// checkClient tells at once what a client's handshake would fail for, or do badly.
func checkClient(config *tls.Config) error {
	switch {
	case config == nil || config.ServerName == "" && !config.InsecureSkipVerify:
		return errors.New("tls: Config.ServerName must say whom to expect there")
	case config.Renegotiation != tls.RenegotiateNever:
		return errors.New("tls: Config.Renegotiation must be RenegotiateNever: a renegotiation would hold the event loop")
	}
	return nil
}

// serverTLS returns config, or what stands for nil, if a server's handshakes can succeed with it.
func (s *Server) serverTLS(config *tls.Config) (*tls.Config, error) {
	config = cmp.Or(config, s.TLSConfig)
	if config == nil {
		return nil, errors.New("switchboard: there is no tls.Config, and Server.TLSConfig is nil")
	}
	return config, checkTLS(config)
}

// checkTLS tells at once what every handshake of a server would fail for.
func checkTLS(config *tls.Config) error {
	if config != nil && len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return errors.New("switchboard: the tls.Config has no certificate: " +
			"set its Certificates, GetCertificate or GetConfigForClient")
	}
	return nil
}

// tlsError says what call failed for on c.
func (c *Conn) tlsError(call string, err error) error {
	addr := c.RemoteAddr()
	return &net.OpError{Op: call, Net: addr.Network(), Addr: addr, Err: err}
}

// ConnectionState is Conn.TLS for what Blocking calls: conn.(interface{ ConnectionState() tls.ConnectionState }), which
// a *tls.Conn is as well. It is the zero value without TLS.
func (st *stream) ConnectionState() (state tls.ConnectionState) {
	if known := st.c.TLS(); known != nil {
		state = *known
	}
	return state
}

// An encryption is what a connection with TLS has more than others.
type encryption struct {
	conn *tlsconn.Conn // the loop's, and during a step of the handshake its goroutine's
	hand *handshake    // nil before it waits for its turn, and once it is done

	// Output, under Conn.mu.
	plain         buffer.Queue // taken by Write and not yet encrypted; Conn.queue holds what is
	tail          int32        // the last bytes of that which carry nothing of what Write took
	answers       int32        // bytes of that which are TLS's own, at most
	up            bool         // the handshake is done
	closeNotified bool         // the close_notify is made
	tlsFailed     bool         // crypto/tls has given up: nothing more can be encrypted
}

// secure puts TLS between c and its handler. With client, c is the one that begins it.
func (c *Conn) secure(config *tls.Config, client bool) *encryption {
	t := new(encryption)
	if client {
		t.conn = tlsconn.Client(config, c)
	} else {
		t.conn = tlsconn.Server(config, c)
	}
	c.extra().tls.Store(t)
	c.flags |= secured
	c.mu.Lock()
	c.out |= sealed
	c.mu.Unlock()
	return t
}

// encryption returns what c has for TLS, nil if it speaks none or has not begun. Any goroutine may call it.
func (c *Conn) encryption() *encryption {
	if more := c.more.Load(); more != nil {
		return more.tls.Load()
	}
	return nil
}

// sealBatch is how many bytes of records are made before the kernel is offered them.
const sealBatch = 64 << 10

// errCutOff is the end of input without a close_notify: somebody between may have ended it.
var errCutOff = fmt.Errorf("the peer ended the TLS connection without saying so, what it sent may be incomplete: %w",
	io.ErrUnexpectedEOF)

// decrypt takes ciphertext from the engine and offers the handler what it says. All of it is decrypted, even if the
// handler pauses in between: plaintext is never longer, so the limit on input holds for both.
func (c *Conn) decrypt(p []byte) {
	t, l := c.encryption(), c.loop
	var err error
	for len(p) > 0 && err == nil && c.state == stateOpen && !t.tlsFailed {
		plain := l.plain[:0]
		l.cipher = l.cipher[:0]
		read := func() { plain, p, l.cipher, err = t.conn.Decrypt(plain, p, l.cipher) }
		if c.flags&dialled == 0 {
			read()
		} else if !l.call(c, read) { // a ClientSessionCache is the user's code, which runtime.Goexit can leave
			err = c.endedFor()
		}
		c.queueTLS(l.cipher)
		if len(plain) == 0 || !c.take(plain) {
			c.flush()
		}
	}
	if l.limits.MessageTimeout > 0 {
		c.timeMessage(false)
	}
	switch {
	case err == nil || c.state != stateOpen:
	case err == io.EOF:
		c.endInput()
	default:
		c.failTLS(c.tlsError("read", l.callbackError(c, err)))
	}
}

// failTLS ends a connection on which TLS has failed, with the last words of crypto/tls.
func (c *Conn) failTLS(err error) {
	c.mu.Lock()
	c.encryption().tlsFailed = true
	c.mu.Unlock()
	c.end(err)
	c.flush()
}

// endTLSInput takes the peer's end of output from the engine. In order it comes after a close_notify.
func (c *Conn) endTLSInput() {
	switch {
	case c.state == stateHandshaking:
		c.flags |= inputEnded
		c.handshakeEnds()
	case c.flags&inputEnded == 0:
		c.flags |= cutOff
		c.endInput()
	}
}

// queueTLS queues bytes of crypto/tls's own: of the handshake, an alert, the answer to a KeyUpdate. A peer can have as many
// answers made as it likes, also on a connection that is read whatever its queue holds because its input goes to another
// one (Pipe). So from the high-water mark on it is not read, until it has read most of them.
func (c *Conn) queueTLS(p []byte) {
	if len(p) == 0 {
		return
	}
	t, lim := c.encryption(), c.loop.limits
	c.mu.Lock()
	defer c.mu.Unlock()
	queued := c.pendingCipher()
	t.tail = min(t.tail, int32(queued)) + int32(len(p))
	t.answers = int32(t.unread(queued) + len(p))
	c.queue.Add(p)
	if c.pending() >= lim.HighWater {
		c.marks.Or(fullMark)
	}
	if t.up && int(t.answers) >= lim.HighWater {
		c.out |= unanswered
	}
	if t.up && int(t.answers) > lim.QueueLimit {
		c.endAs(abort, c.tlsError("read", errAnswers))
	}
}

// errAnswers ends a connection whose peer has more answers of TLS's own made than it reads.
var errAnswers = fmt.Errorf("it asks for answers of TLS and does not read them: %w", ErrQueueFull)

// unread returns how many bytes of TLS's own are among queued bytes of ciphertext, at most.
func (t *encryption) unread(queued int) int { return min(int(t.answers), queued) }

// seal encrypts what Write took and offers it to the kernel, batch after batch until the kernel takes no more. Then what
// is left waits as it was written: there is never more than a batch of ciphertext. It runs on the loop; mu is held.
func (c *Conn) seal() (errno syscall.Errno) {
	t, l := c.encryption(), c.loop
	for errno == 0 && c.out&(blocked|inBatch) == 0 {
		l.cipher = l.cipher[:0]
		for t.up && !t.tlsFailed && t.plain.Len() > 0 && len(l.cipher) < sealBatch {
			p := front(&t.plain, l.gather[:0], sealBatch)
			var err error
			if l.cipher, err = t.conn.Encrypt(l.cipher, p); err != nil {
				c.giveUpSealing(err)
				break
			}
			t.plain.Drop(len(p))
			t.tail = 0
		}
		carries := len(l.cipher)
		if c.endsTLS(t) {
			l.cipher, _ = t.conn.CloseNotify(l.cipher)
			t.closeNotified = true
		}
		if len(l.cipher) == 0 && c.pendingCipher() == 0 {
			break
		}
		errno = c.send(l.cipher)
		t.tail = min(t.tail, int32(c.queue.Len())) + int32(len(l.cipher)-carries)
	}
	return errno
}

// endsTLS tells whether it is time for the close_notify. After a failure it never is: the peer would take for whole what may
// not be.
func (c *Conn) endsTLS(t *encryption) bool {
	return t.plain.Len() == 0 && !t.closeNotified && !t.tlsFailed && t.up &&
		(c.out&noOutput != 0 && (c.ending == nil || c.ending.how == order) || c.ending != nil && c.ending.how == order)
}

// giveUpSealing ends the connection because crypto/tls takes no more output. mu is held.
func (c *Conn) giveUpSealing(err error) {
	c.encryption().tlsFailed = true
	c.endAs(failure, c.tlsError("write", err))
}

// pending returns how many bytes wait to be sent, as far as they can be. mu is held.
func (c *Conn) pending() int {
	n := c.pendingCipher()
	if c.out&sealed != 0 {
		if t := c.encryption(); !t.tlsFailed {
			n += t.plain.Len()
		}
	}
	return n
}

// unsent drops what was not encrypted, and returns how many bytes of what Write took are lost if queued bytes of ciphertext
// are too. Those are counted with their records' headers. mu is held.
func (t *encryption) unsent(queued int) int {
	lost := t.plain.Len() + max(0, queued-int(t.tail))
	t.plain.Drop(t.plain.Len())
	return lost
}

// front returns the first bytes of q in one piece, at most n: out of its first buffer if that holds a record's worth or
// all, else gathered into p, a record's worth.
func front(q *buffer.Queue, p []byte, n int) []byte {
	first := q.First()
	if len(first) >= tlsconn.MaxPlaintext || len(first) == q.Len() {
		return first[:min(len(first), n)]
	}
	return q.AppendTo(p, tlsconn.MaxPlaintext)
}

// makeRoom gives the loop the buffers that its TLS connections share.
func (l *loop) makeRoom() {
	if l.plain == nil {
		l.plain = make([]byte, 0, max(l.limits.ReadBuffer, tlsconn.MaxPlaintext)+tlsconn.MaxPlaintext)
		l.gather = make([]byte, 0, tlsconn.MaxPlaintext)
	}
}
