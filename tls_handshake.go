package switchboard

import (
	"container/list"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// A handshake needs a goroutine, as crypto/tls cannot leave one in the middle and come back. It goes in steps, each from
// bytes of the peer's until more are needed, and each begun by the loop, one a turn. So the established connections of
// the loop wait for one step at most, however many clients come at once and even if there is only one processor.
type handshake struct {
	t       *transport
	ctx     context.Context // ends with the connection, for the callbacks of the tls.Config
	cancel  func()
	resume  chan struct{}  // a token begins the next step
	begun   bool           // it has a place, and a goroutine
	running bool           // a step is under way
	input   *buffer.Buffer // what t.in lies in
	out     []byte         // for the peer, when the step is over
	line    *list.List     // that it waits in, nil during a step
	place   *list.Element  // there
}

// handshakes are those of a loop.
type handshakes struct {
	fresh  list.List // in order of arrival, without a goroutine yet
	ready  list.List // their peers have answered
	silent list.List // they wait for their peers, the longest first

	places, most  int // that have a goroutine, and how many may
	running, best int // that are in a step, and how many should be at a time
	last          time.Duration
}

const (
	// unusual is how long a step takes that has a callback wait for something: the next one begins then.
	unusual = 5 * time.Millisecond

	// handshakeInput is how many bytes a client may send ahead of its handshake. It is more than one record.
	handshakeInput = 32 << 10

	isHandshake = 22 // a record's first byte (RFC 8446, section 5.1)
)

// greeted tells whether p holds the first record of a client, or what will never be one: nobody else gets a goroutine.
func greeted(p []byte) bool {
	return len(p) >= recordHeader && (p[0] != isHandshake || len(p) >= min(int(recordSize(p)), handshakeInput))
}

// shake begins a handshake that waits for its turn, over there on a client or here when the first record has come.
func (t *transport) shake() {
	h := &handshake{t: t, resume: make(chan struct{}, 1)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	t.hand = h
	h.join(&t.c.loop.handshakes.fresh)
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

// receiveHandshake takes bytes from the engine before the handshake is done.
func (c *Conn) receiveHandshake(p []byte) {
	c.in = buffer.Append(c.in, p)
	if len(c.in.B) >= handshakeInput {
		c.flags |= inputFull
		c.flush()
	}
	t := c.transport()
	switch {
	case t == nil:
		if greeted(c.in.B) {
			c.secure(c.loop.server.TLSConfig, false).shake()
		}
	case t.hand.line == &c.loop.handshakes.silent:
		t.hand.join(&c.loop.handshakes.ready)
	}
}

// wait has the step end, and returns when the next one begins.
func (h *handshake) wait() error {
	if !h.t.c.loop.give(task{f: func() { h.stepped(false, nil) }}) {
		return ErrServerClosed
	}
	select {
	case <-h.resume:
		return nil
	case <-h.ctx.Done():
		return net.ErrClosed
	}
}

// run is the goroutine's life.
func (h *handshake) run() {
	err, returned := error(nil), false
	defer func() {
		if !returned {
			v := recover()
			if v == nil {
				v = "runtime.Goexit in a callback of the tls.Config"
			}
			err = h.t.c.loop.logPanic(h.t.c, v)
		}
		h.t.c.loop.give(task{f: func() { h.stepped(true, err) }})
	}()
	err = h.t.tls.HandshakeContext(h.ctx)
	returned = true
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
		s.silent.Front().Value.(*handshake).t.c.failHandshake(errGaveWay)
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
	return max(0, unusual-(now()-s.last))
}

// stepHandshakes begins one step, if one is wanted, and lets it run.
func (l *loop) stepHandshakes() {
	h := l.handshakes.next(l.elapsed)
	if h == nil {
		return
	}
	h.join(nil)
	c := h.t.c
	l.handshakes.last = l.elapsed()
	l.handshakes.running++
	h.running = true
	if c.in != nil {
		h.input, c.in = c.in, nil
		if !h.begun && c.flags&dialled == 0 {
			h.input = reframed(h.input)
		}
		h.t.in = h.input.B
	}
	if c.flags&inputFull != 0 {
		c.flags &^= inputFull
		c.flush()
	}
	if h.begun {
		h.resume <- struct{}{}
	} else {
		h.begun = true
		l.handshakes.places++
		go h.run()
	}
	l.yield = true
}

// reframed cuts the record that b begins with, a ClientHello, into short ones, which say the same: how a message is cut
// into records is nobody's business (RFC 8446, section 5.1). For as long as it lives crypto/tls keeps a buffer that is as
// long as the longest record it has read, and on most idle connections that is this one.
func reframed(b *buffer.Buffer) *buffer.Buffer {
	const short = 500
	p, size := b.B, int(recordSize(b.B))
	if p[0] != isHandshake || size > len(p) {
		return b
	}
	message, n := p[recordHeader:size], size-recordHeader
	for n > short {
		n = (n + 1) / 2 // halves of halves suit the buffer that crypto/tls puts them together in
	}
	if n == len(message) {
		return b
	}
	cut := buffer.Get(len(p) + len(message)/n*recordHeader)
	for len(message) > 0 {
		n = min(n, len(message))
		cut.B = append(cut.B, p[0], p[1], p[2], byte(n>>8), byte(n))
		cut.B = append(cut.B, message[:n]...)
		message = message[n:]
	}
	cut.B = append(cut.B, p[size:]...)
	buffer.Put(b)
	return cut
}

// stepped takes h back from its goroutine, which waits for the next step or has ended.
func (h *handshake) stepped(ended bool, err error) {
	t, c, s := h.t, h.t.c, &h.t.c.loop.handshakes
	if h.running {
		h.running = false
		s.running--
	}
	if ended {
		s.places--
	}
	input, rest := h.input, t.in
	h.input, t.in = nil, nil
	if c.state == stateHandshaking {
		if err == nil {
			h.speak()
		}
		switch {
		case ended && err == nil:
			c.handshakeDone(rest)
		case ended:
			c.failHandshake(err)
		case c.in != nil:
			h.join(&s.ready)
			c.flush()
		default:
			h.join(&s.silent)
			c.handshakeEnds()
		}
	}
	if input != nil {
		buffer.Put(input)
	}
}

// speak queues what the step that is over had to say, and returns how much it was.
func (h *handshake) speak() int {
	n := len(h.out)
	h.t.c.say(h.out)
	h.out = nil
	return n
}

// handshakeDone opens c, and gives it what has come already.
func (c *Conn) handshakeDone(rest []byte) {
	t, l := c.transport(), c.loop
	t.hand.cancel()
	t.hand = nil
	t.up.Store(true)
	l.count.Handshakes++
	l.makeRoom()
	in, ended := c.in, c.flags&inputEnded != 0
	c.in = nil
	c.flags &^= inputEnded | inputFull
	if c.flags&dialled != 0 {
		c.dialDone()
	} else {
		c.welcome()
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
		c.hangUp()
	}
	c.flush()
}

// greeted tells whether a client has said hello to c, which shall be served though the server stops.
func (c *Conn) greeted() bool {
	return c.state == stateHandshaking && c.flags&dialled == 0 && c.transport() != nil
}

// handshakeEnds fails c's handshake if the peer has ended the connection and nothing is left that could complete it.
func (c *Conn) handshakeEnds() {
	t := c.transport()
	if c.flags&inputEnded != 0 && (t == nil || !t.hand.begun || t.hand.line == &c.loop.handshakes.silent) {
		c.failHandshake(io.ErrUnexpectedEOF)
		return
	}
	c.flush()
}

// failHandshake ends a connection that did not come about. The peer gets what crypto/tls had to say to it.
func (c *Conn) failHandshake(err error) {
	l, s := c.loop, c.Server()
	if c.flags&dialled != 0 {
		err = c.extra().dial.failure(err)
	} else {
		err = &net.OpError{Op: "handshake", Net: "tcp", Addr: c.RemoteAddr(), Err: err}
		l.count.Refused++
		if s.trace != nil && s.trace.Refused != nil {
			l.call(c, func() { s.trace.Refused(c, err) })
		}
	}
	if log := s.logger(); log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("a TLS handshake failed", "remote", c.RemoteAddr(), "error", err)
	}
	t := c.transport()
	if t == nil || t.hand.running || t.hand.speak() == 0 {
		c.finish(err)
		return
	}
	t.leave()
	c.state = stateOpen // it ends as any other: the peer shall hear the last words, which are an alert, before it sees the end
	c.mu.Lock()
	t.spoilt = true
	c.endAs(order, err)
	c.mu.Unlock()
	c.flush()
}

// leave takes the handshake of a connection that is over out of the books. Its goroutine ends by itself.
func (t *transport) leave() {
	if t.hand != nil {
		t.hand.join(nil)
		t.hand.cancel()
	}
}

// handshakeWaitsForUs tells whether c's handshake could go on if its turn came: its peer is not late.
func (c *Conn) handshakeWaitsForUs() bool {
	t := c.transport()
	return t != nil && t.hand != nil && t.hand.line != &c.loop.handshakes.silent
}

// arrived returns the tick since which c's handshake is awaited.
func (c *Conn) arrived() int64 {
	if c.flags&dialled != 0 {
		return c.extra().since
	}
	return c.born
}
