package zmtp

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/buffer"
)

// A peer is one connection of a socket, or one end of an inproc pair. It is the handler of its connection. While nothing
// happens it holds no buffer, no timer and no goroutine.
//
// Its life, on the connection's loop: stateNew until there is a connection, stateGreeting until the peer's greeting has
// come, stateHandshake until both sides have agreed, stateReady while messages flow, stateGone.
type peer struct {
	s      *Socket
	c      *switchboard.Conn     // nil: inproc
	origin *listener             // that it came by
	dialer *dialer               // that it was dialled by
	hs     *handshake            // until it is ready
	asm    *assembly             // a message that has come in part
	more   atomic.Pointer[extra] // what few peers have

	// Under the socket's mu.
	identity  string // by which a ROUTER addresses it
	in, out   queue
	cur       *chunk // of out, being written
	sub       *node  // its first subscription
	written   int64  // bytes given to the connection
	lastWrite int64  // when the queue was last written, in nanoseconds since the socket was made
	subBytes  int32
	again     int32 // subscriptions that it had already
	index     int32 // in Socket.handshaking, and then in Socket.peers
	turn      int32 // in Socket.ready
	epoch     uint32
	routing   uint32 // by which a SERVER addresses it

	state     stateCell // changed by the loop, under mu once it is ready
	accepted  bool
	version30 bool // the peer speaks 3.0
	scheduled bool // its queue will be written by its batch
	writing   bool // its queue is being written
	rewrite   bool // and there is more
	full      bool // a message did not fit its queue
	paused    bool // it is not read until messages were received
	held      bool // it is in Socket.held
	inbox     bool // it is in the socket's inbox
	ending    bool // it is closed once its queue is written
	displaced bool // another has its place
}

type peerState uint32

// A stateCell is a peerState that others than the loop may look at.
type stateCell struct{ v atomic.Uint32 }

func (c *stateCell) get() peerState  { return peerState(c.v.Load()) }
func (c *stateCell) set(s peerState) { c.v.Store(uint32(s)) }

const (
	stateNew peerState = iota
	stateGreeting
	stateHandshake
	stateReady
	stateGone
)

// extra is what few peers have.
type extra struct {
	cipher    *cipher
	user      string
	other     *peer  // the other end of an inproc pair
	commands  []byte // to be written before messages
	sent      queue  // written to the connection, which may not have sent it yet
	checking  bool   // and somebody will look whether it has
	counted   int    // bytes that its connection counts for Context.MemoryLimit
	sealed    *buffer.Buffer
	heartbeat *heartbeat
	err       error              // why we ended it
	subs      []*node            // its other subscriptions, and when those are many
	manySubs  map[*node]struct{} // the rest
	running   bool               // a goroutine calls the handler, of an inproc peer
}

// extra returns what few peers have, which is made when it is first needed.
func (p *peer) extra() *extra {
	if x := p.more.Load(); x != nil {
		return x
	}
	p.more.CompareAndSwap(nil, new(extra))
	return p.more.Load()
}

// batch returns what is to be sent on the loop of p, which has a connection.
func (p *peer) batch() *batch { return &p.s.ctx.batches[p.c.Loop()] }

// address returns the peer's address, in words.
func (p *peer) address() string {
	if p.c == nil {
		return "inproc"
	}
	return p.c.RemoteAddr().String()
}

// endpoint returns the endpoint of this side.
func (p *peer) endpoint() string {
	switch {
	case p.dialer != nil:
		return p.dialer.endpoint
	case p.origin != nil:
		return p.origin.endpoint
	}
	return ""
}

// Opened is called when a dialled connection is there, and may be for an accepted one.
func (p *peer) Opened(c *switchboard.Conn) error {
	if p.state.get() != stateNew {
		return nil
	}
	p.c = c
	p.s.tell(Event{Kind: Connected, Endpoint: p.endpoint(), RemoteAddr: c.RemoteAddr().String()})
	p.begin(c)
	return nil
}

// Data takes what has come.
func (p *peer) Data(c *switchboard.Conn, b []byte) (int, error) {
	batch := p.batch()
	batch.enter()
	defer batch.leave()
	defer p.count()
	n := len(b)
	if p.state.get() < stateReady {
		var err error
		if b, err = p.negotiate(b); err != nil {
			return n, p.fail(err)
		}
		if p.state.get() < stateReady {
			return n - len(b), nil
		}
	}
	if p.state.get() == stateReady && len(b) > 0 {
		if p.s.full.Load() && p.s.hold(p) {
			return n - len(b), nil
		}
		if err := p.input(b); err != nil {
			return n, p.fail(err)
		}
	}
	return n, nil
}

// InputEnded tells that the peer has ended its output, which ends a connection of ZMTP.
func (p *peer) InputEnded(c *switchboard.Conn, rest []byte) error {
	switch {
	case p.state.get() == stateGreeting && len(rest) >= majorAt:
		return p.fail(&ProtocolError{Reason: fmt.Sprintf("the peer ended the connection in the middle of its greeting, as libzmq does if its "+
			"mechanism is not %s, which is this socket's: Options.Security must be of the same kind on both sides", p.s.opt.Security.name()),
			cause: io.ErrUnexpectedEOF})
	case p.state.get() < stateReady && len(rest) > 0 || p.asm != nil:
		return p.fail(fmt.Errorf("zmtp: the peer ended the connection in the middle of a %s: %w",
			map[bool]string{true: "message", false: "handshake"}[p.asm != nil], io.ErrUnexpectedEOF))
	case p.state.get() < stateReady:
		return p.fail(fmt.Errorf("zmtp: the peer ended the connection before the handshake was done: %w", io.ErrUnexpectedEOF))
	}
	c.Abort() // what is queued for it has no reader, and may go to others
	p.extra().err = io.EOF
	return nil
}

// Drained tells that there is room in the connection's queue.
func (p *peer) Drained(*switchboard.Conn) { p.write() }

// fail ends the connection for what the peer did: with a reset, so that it cannot take this for an orderly end; in the
// handshake it is told why before that.
func (p *peer) fail(err error) error {
	var bad *ProtocolError
	if p.state.get() == stateHandshake && errors.As(err, &bad) && p.hs.mech != nil {
		p.send(refuse(bad.Reason))
		p.extra().err = err
		return err
	}
	p.end(err)
	return nil
}

// end ends the connection at once, for err. It belongs to the loop.
func (p *peer) end(err error) {
	if p.c == nil {
		p.endInproc(err)
		return
	}
	if p.extra().err == nil {
		p.more.Load().err = err
	}
	p.c.Abort()
}

// evict has end be called on the peer's loop. Any goroutine may call it, holding the socket's mu.
func (p *peer) evict(err error) {
	if p.c == nil {
		go p.endInproc(err)
		return
	}
	p.c.Do(func() { p.end(err) })
}

// Closed tells that the connection is gone.
func (p *peer) Closed(c *switchboard.Conn, err error) {
	if p.more.Load() != nil && p.more.Load().err != nil {
		err = p.more.Load().err
	}
	if err == io.EOF {
		err = nil
	}
	was := p.state.get()
	if p.asm != nil {
		p.asm.free()
		p.asm = nil
	}
	notices := p.s.leave(p)
	p.endHandshake()
	p.s.ctx.batches[c.Loop()].flushAll() // which may have been on its way by this connection
	p.handle(notices)
	p.report(was, err)
	if p.dialer != nil {
		p.dialer.ended(p, was, err)
	}
}

// report tells of the end.
func (p *peer) report(was peerState, err error) {
	e := Event{Endpoint: p.endpoint(), Err: err}
	switch {
	case was == stateReady:
		e.Kind = Disconnected
	case was > stateNew:
		e.Kind = HandshakeFailed
	default:
		return // of the dialler
	}
	if p.c != nil {
		e.RemoteAddr = p.c.RemoteAddr().String()
	}
	var bad *ProtocolError
	if errors.As(err, &bad) {
		p.s.warn(e)
	}
	p.s.tell(e)
}

// pause stops reading the peer. s.mu is held; of a connection, it is called on its loop.
func (p *peer) pause() {
	p.paused = true
	if p.c != nil {
		p.c.Pause()
	}
}

// wake is resume with s.mu held.
func (p *peer) wake() {
	if p.c != nil {
		p.c.Do(p.c.Resume)
	} else {
		go p.resume()
	}
}

// resume has the peer be read again. Any goroutine may call it, without s.mu.
func (p *peer) resume() {
	if p.c != nil {
		p.c.Do(p.c.Resume)
	} else {
		p.extra().other.write()
	}
}

func (s *Socket) now() int64 { return int64(time.Since(s.born)) }
