package switchboard

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// A handshake goes in steps on a goroutine of its own (see tlsconn.Conn.Step), and each step is begun by the loop, one a
// turn. So the established connections of the loop wait for one step at most, however many clients come at once and even if
// there is only one processor.
//
//	state     line     meaning                                   goes to
//	fresh     fresh    the client's first record is there, and   running, in the order of arrival
//	                   no goroutine yet
//	running   nil      a step is under way                       silent, ready, or over: stepped
//	silent    silent   it waits for its peer                     ready: receiveHandshake
//	ready     ready    its peer has answered                     running, before all that are fresh
//	left      nil      its connection is gone: leaveHandshake; its goroutine ends by itself
type handshake struct {
	c       *Conn
	begun   bool           // it has a place, and a goroutine
	running bool           // a step is under way
	left    bool           // nobody waits for it any more
	input   *buffer.Buffer // of the step under way
	line    *list.List     // that it waits in
	place   *list.Element  // there
	turned  int64          // the tick since which it does not wait for its peer, if it does not
	ours    int64          // ticks until then in which it did not
}

// handshakes are those of a loop.
type handshakes struct {
	fresh  list.List
	ready  list.List
	silent list.List // the longest first

	places, most  int // that have a goroutine, and how many may
	running, best int // that are in a step, and how many should be at a time
	last          time.Duration
}

const (
	// slowStep is how long a step takes that has a callback wait for something: the next one begins then.
	slowStep = 5 * time.Millisecond

	// handshakeInput is how many bytes a peer may send ahead of its handshake. It is more than one record.
	handshakeInput = 32 << 10
)

// queueHandshake has c's handshake wait for its turn.
func (c *Conn) queueHandshake() {
	h := &handshake{c: c, turned: c.loop.clock()}
	c.encryption().hand = h
	h.join(&c.loop.handshakes.fresh)
}

// join puts h at the end of a line, or takes it out of its line if that is nil.
func (h *handshake) join(line *list.List) {
	if h.line != nil {
		h.line.Remove(h.place)
	}
	if h.line, h.place = line, nil; line != nil {
		h.place = line.PushBack(h)
	}
}

// receiveHandshake takes bytes from the engine before the handshake is done. Nobody gets a goroutine before a whole first
// record has come from a client, or what will never be one.
func (c *Conn) receiveHandshake(p []byte) {
	if len(p) > 0 {
		c.in = buffer.Append(c.in, p)
	}
	if c.in != nil && len(c.in.B) >= handshakeInput {
		c.flags |= inputFull
		c.flush()
	}
	t := c.encryption()
	switch {
	case t != nil && t.hand != nil:
		if h := t.hand; h.line == &c.loop.handshakes.silent && c.in != nil {
			h.turned = c.loop.clock()
			h.join(&c.loop.handshakes.ready)
		}
	case c.flags&dialled != 0:
		c.queueHandshake()
	case c.in != nil && tlsconn.Greeted(c.in.B):
		if t == nil {
			c.secure(c.tlsConfig(), false)
		}
		c.queueHandshake()
	}
}

// tlsConfig returns what an accepted connection is to speak TLS with.
func (c *Conn) tlsConfig() *tls.Config {
	if more := c.more.Load(); more != nil && more.config != nil {
		return more.config
	}
	return c.Server().TLSConfig
}

// next returns the handshake whose turn it is, nil if none may go on now. What was begun is ended first. If all places
// are taken, the one that has waited longest for its peer gives way to a client that is there.
func (s *handshakes) next(now func() time.Duration) *handshake {
	if s.within(now) != 0 {
		return nil
	}
	if e := s.ready.Front(); e != nil {
		return e.Value.(*handshake)
	}
	if s.places >= s.most {
		s.silent.Front().Value.(*handshake).c.failHandshake(errGaveWay)
	}
	return s.fresh.Front().Value.(*handshake)
}

var errGaveWay = errors.New("it took longer than all others while there were too many")

// wanted tells whether a step could begin if it were not for those that run.
func (s *handshakes) wanted() bool {
	return s.ready.Len() > 0 || s.fresh.Len() > 0 && (s.places < s.most || s.silent.Len() > 0)
}

// within returns how soon the next step should begin: 0 for now, -1 if none is wanted.
func (s *handshakes) within(now func() time.Duration) time.Duration {
	switch {
	case !s.wanted():
		return -1
	case s.running < s.best:
		return 0
	}
	return max(0, slowStep-(now()-s.last))
}

// stepHandshakes begins one step, if one is wanted, and lets it run.
func (l *loop) stepHandshakes() {
	h := l.handshakes.next(l.elapsed)
	if h == nil {
		return
	}
	h.join(nil)
	c := h.c
	l.handshakes.last = l.elapsed()
	l.handshakes.running++
	h.running = true
	h.ours += l.clock() - h.turned
	h.turned = l.clock()
	if !h.begun {
		h.begun = true
		l.handshakes.places++
		c.weigh(int(c.counted))
	}
	var input []byte
	if c.in != nil {
		h.input, c.in = c.in, nil
		input = h.input.B
	}
	done := func() { l.give(task{f: h.stepped}) }
	if elsewhere := l.server.elsewhere; elsewhere != nil {
		done = elsewhere(done)
	}
	c.encryption().conn.Step(input, done)
	l.yield = true
	if c.flags&inputFull != 0 {
		c.flags &^= inputFull
		c.flush() // behind Step: it may end c, and nobody may begin a step after that
	}
}

// stepped takes h back from its goroutine.
func (h *handshake) stepped() {
	c, l := h.c, h.c.loop
	s, t := &l.handshakes, c.encryption()
	h.running = false
	s.running--
	h.ours += l.clock() - h.turned
	over, err := t.conn.Handshaken()
	if over || h.left {
		s.places--
		h.begun = false
	}
	switch {
	case h.left: // c is gone
	case over && err == nil:
		c.queueTLS(t.conn.Output())
		c.handshakeDone(t.conn.Unread())
	case over:
		c.failHandshake(l.callbackError(c, err))
	default:
		c.queueTLS(t.conn.Output())
		if c.in != nil {
			h.turned = l.clock()
			h.join(&s.ready)
			c.flush()
		} else {
			h.join(&s.silent)
			c.schedule()
			c.handshakeEnds()
		}
	}
	if h.input != nil {
		buffer.Put(h.input)
		h.input = nil
	}
}

// callbackError is err, or a *PanicError, which is logged, if a callback of the tls.Config panicked.
func (l *loop) callbackError(c *Conn, err error) error {
	panicked, ok := errors.AsType[*tlsconn.PanicError](err)
	if !ok {
		return err
	}
	v := panicked.Value
	if v == nil {
		v = "runtime.Goexit in a callback of the tls.Config"
	}
	l.server.logger().Error("a callback of the tls.Config panicked", "remote", c.RemoteAddr(), "panic", v,
		"stack", string(panicked.Stack))
	return &PanicError{v, panicked.Stack}
}

// handshakeDone opens c, and gives it what has come already: first rest, which the handshake did not use.
func (c *Conn) handshakeDone(rest []byte) {
	t, l := c.encryption(), c.loop
	c.mu.Lock()
	t.hand, t.up = nil, true
	c.mu.Unlock()
	l.count.Handshakes++
	l.makeRoom()
	in, ended := c.in, c.flags&inputEnded != 0
	c.in = nil
	c.flags &^= inputEnded | inputFull
	switch {
	case c.flags&upgraded != 0:
		c.become(stateOpen)
		c.touch()
		c.schedule()
	case c.flags&dialled != 0:
		c.dialDone()
	default:
		c.askAccept()
	}
	if c.state == stateOpen {
		c.decrypt(rest)
	}
	if in != nil {
		if c.state == stateOpen {
			c.decrypt(in.B)
		}
		buffer.Put(in)
	}
	if ended && c.state == stateOpen {
		c.endTLSInput()
	}
	c.flush()
}

// hasClientHello tells whether a client has said hello to c, which shall be served though the server stops.
func (c *Conn) hasClientHello() bool {
	t := c.encryption()
	return c.state == stateHandshaking && c.flags&dialled == 0 && t != nil && t.hand != nil
}

// handshakeEnds fails c's handshake if the peer has ended the connection and nothing is left that could complete it.
func (c *Conn) handshakeEnds() {
	t := c.encryption()
	answered := c.in != nil && c.Server().PlainReply != nil && tlsconn.Plain(c.in.B) // once its turn has come
	if c.flags&inputEnded != 0 &&
		(t == nil || t.hand == nil || !t.hand.begun && !answered || t.hand.line == &c.loop.handshakes.silent) {
		c.failHandshake(io.ErrUnexpectedEOF)
		return
	}
	c.flush()
}

// failHandshake ends a connection whose handshake has failed. The peer gets what crypto/tls had to say to it.
func (c *Conn) failHandshake(err error) {
	l, s := c.loop, c.Server()
	l.count.HandshakeFailures++
	switch {
	case c.flags&upgraded != 0:
		err = c.tlsError("handshake", err)
	case c.flags&dialled != 0:
		err = c.extra().dial.failure(err)
	default:
		err = c.tlsError("handshake", err)
		l.count.Refused++
		c.counts().refused.Add(1)
		if s.trace != nil && s.trace.Refused != nil {
			l.call(c, func() { s.trace.Refused(c, err) })
		}
	}
	if log := s.logger(); log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("a TLS handshake failed", "remote", c.RemoteAddr(), "error", err)
	}
	t := c.encryption()
	// A peer whose side of the handshake is done, or that has not begun it, would take a mere end for one in order.
	fail := c.breakDown
	if c.flags&upgraded == 0 && errors.Is(err, io.ErrUnexpectedEOF) { // it was the peer who ended it, and has heard nothing
		fail = c.finish
	}
	if t == nil || t.hand == nil || t.hand.running {
		fail(err)
		return
	}
	words := t.conn.Output()
	bad, plain := errors.AsType[tls.RecordHeaderError](err)
	if plain && s.PlainReply != nil && c.flags&(dialled|upgraded) == 0 {
		l.call(c, func() { words = append(s.PlainReply(bad.RecordHeader[:]), words...) })
	}
	c.leaveHandshake()
	if len(words) == 0 {
		fail(err)
		return
	}
	c.queueTLS(words)
	c.become(stateOpen) // it ends as any other: the peer shall hear the last words, which are an alert, before it sees the end
	c.mu.Lock()
	t.tlsFailed = true
	c.endAs(order, err)
	c.mu.Unlock()
	c.flush()
}

// leaveHandshake takes the handshake of a connection that is over out of the books. Its goroutine ends by itself.
func (c *Conn) leaveHandshake() {
	h := c.encryption().hand
	if h == nil || h.left {
		return
	}
	h.left = true
	h.join(nil)
	if h.begun {
		c.encryption().conn.Cancel()
		if !h.running {
			c.loop.handshakes.places--
			h.begun = false
		}
	}
}

// awaited returns the tick since which c's peer is awaited in its handshake, as if it had been awaited all the time: what
// has come and waits for its turn is not late. A step that runs has as much time as a peer, for the callbacks of the
// tls.Config.
func (c *Conn) awaited() int64 {
	since := c.born
	if c.flags&(dialled|upgraded) != 0 {
		since = c.extra().since
	}
	t := c.encryption()
	if t == nil || t.hand == nil {
		return since
	}
	switch h := t.hand; {
	case h.running:
		return h.turned
	case h.line == &c.loop.handshakes.silent:
		return since + h.ours
	default:
		return since + h.ours + c.loop.clock() - h.turned
	}
}
