package switchboard

import (
	"fmt"
	"io"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

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
