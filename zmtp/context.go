package zmtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/switchboard-go/switchboard"
)

// A Context runs sockets on event loops, and holds the names of their inproc endpoints. The zero value is ready to
// use. Do not change the fields once it has a socket, and do not copy it. NewSocket without a Context uses one that
// lasts as long as the process. Any goroutine may call its methods.
type Context struct {
	// Loops is the number of event loops. 0 means GOMAXPROCS.
	Loops int

	// Engine is the I/O engine of the loops: see switchboard.Server. "" means "epoll" on Linux, which wakes
	// goroutines in Recv sooner, and otherwise the default of Server.
	Engine string

	// MemoryLimit bounds what the connections of all sockets hold, in bytes: messages that have come in part,
	// subscriptions, and output that the system has not taken. Near the limit the connections that hold the most are
	// not read, and then reset: see switchboard.Server.MemoryLimit. It must be at least 1 MiB for each loop. Whole
	// messages do not count: Options.RecvLimit and SendLimit limit those. 0 means no limit.
	MemoryLimit int64

	// Logger receives warnings and errors. nil means slog.Default.
	Logger *slog.Logger

	mu         sync.Mutex
	server     *switchboard.Server // nil until it is needed
	batches    []batch             // one for each loop
	agreements workQueue           // costly steps of handshakes
	sockets    map[*Socket]struct{}
	listeners  map[string]*listener // by address
	names      map[string]*inprocName
	closed     bool
}

var shared Context

// NewSocket makes a socket on a Context that all sockets of NewSocket share. o may be nil.
func NewSocket(t Type, o *Options) (*Socket, error) { return shared.NewSocket(t, o) }

// writeAhead is how many bytes of output a connection may hold beside the socket's queue.
const writeAhead = 256 << 10

// start returns the server, which it starts if there is none. c.mu is held.
func (c *Context) start() *switchboard.Server {
	if c.server == nil {
		c.server = &switchboard.Server{
			Accept:        c.accept,
			Loops:         c.Loops,
			Engine:        engineOr(c.Engine),
			Logger:        c.Logger,
			ReadBuffer:    128 << 10,
			HighWater:     writeAhead,
			QueueLimit:    8 << 20,
			MemoryLimit:   c.MemoryLimit,
			WriteTimeout:  -1, // a subscriber may rest; heartbeats tell whether it lives
			LingerTimeout: lingerTimeout,
		}
		c.batches = make([]batch, loopsOr(c.Loops))
		for i := range c.batches {
			c.batches[i].flush = c.batches[i].flushAll
		}
	}
	return c.server
}

// Close closes the open sockets, as Socket.Close does, and stops the loops.
func (c *Context) Close() error {
	c.mu.Lock()
	c.closed = true
	var sockets []*Socket
	for s := range c.sockets {
		sockets = append(sockets, s)
	}
	server := c.server
	c.mu.Unlock()
	var wg sync.WaitGroup
	failed := make([]error, len(sockets))
	for i, s := range sockets {
		wg.Go(func() { failed[i] = s.Close() })
	}
	wg.Wait()
	if server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), lingerTimeout)
		defer cancel()
		server.Shutdown(ctx)
	}
	return errors.Join(failed...)
}

// A listener is one bound TCP or Unix address.
type listener struct {
	s        *Socket
	endpoint string // as Bind returned it
	key      string
	l        net.Listener
	done     chan struct{} // closed when it is served no more
}

// listenerKey returns what an accepted connection's own address is found by.
func listenerKey(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("*:%d", tcp.Port)
	}
	return a.String()
}

// accept finds the socket that a new connection is for.
func (c *Context) accept(conn *switchboard.Conn) (switchboard.Handler, error) {
	local := conn.LocalAddr()
	if local == nil {
		return nil, net.ErrClosed
	}
	c.mu.Lock()
	ln := c.listeners[listenerKey(local)]
	if tcp, ok := local.(*net.TCPAddr); ln == nil && ok {
		ln = c.listeners[fmt.Sprintf("*:%d", tcp.Port)]
	}
	c.mu.Unlock()
	if ln == nil {
		return nil, ErrClosed
	}
	p := &peer{s: ln.s, c: conn, origin: ln, accepted: true}
	if err := ln.s.admit(p); err != nil {
		ln.s.tell(Event{Kind: AcceptFailed, Endpoint: ln.endpoint, RemoteAddr: conn.RemoteAddr().String(), Err: err})
		return nil, err
	}
	ln.s.tell(Event{Kind: Accepted, Endpoint: ln.endpoint, RemoteAddr: conn.RemoteAddr().String()})
	p.begin(conn)
	return p, nil
}

// A batch is what is to be sent on one loop: peers whose queues are written when the turn is over, many messages at once.
type batch struct {
	mu      sync.Mutex
	peers   []*peer
	spare   []*peer
	pending bool   // flushAll is on its way
	turn    bool   // the loop is in a handler of ours, and will flush at its end
	flush   func() // flushAll

	scratch []byte // the loop's: frames that were decrypted
}

// add has p's queue be written soon. It may be called with a socket's mu held, flushAll may not.
func (r *batch) add(p *peer) {
	r.mu.Lock()
	r.peers = append(r.peers, p)
	wake := !r.pending && !r.turn
	if wake {
		r.pending = true
	}
	r.mu.Unlock()
	if wake && p.c.Do(r.flush) != nil {
		go r.flushFrom(false) // p is gone, and others may wait behind it; their sockets' mu may be held here
	}
}

// enter and leave enclose what the loop does for a peer: what is queued meanwhile is written at the end.
func (r *batch) enter() {
	r.mu.Lock()
	r.turn = true
	r.mu.Unlock()
}

func (r *batch) leave() {
	r.mu.Lock()
	r.turn = false
	idle := len(r.peers) == 0
	r.mu.Unlock()
	if !idle {
		r.flushAll()
	}
}

// flushAll writes what has gathered. It belongs to the loop.
func (r *batch) flushAll() { r.flushFrom(true) }

// flushFrom is flushAll from the loop or from elsewhere.
func (r *batch) flushFrom(loop bool) {
	r.mu.Lock()
	peers := r.peers
	r.peers, r.spare = r.spare[:0], nil
	r.pending = false
	r.mu.Unlock()
	for _, p := range peers {
		p.write()
		if loop {
			p.count()
		}
	}
	clear(peers)
	r.mu.Lock()
	if r.spare == nil && cap(peers) <= 1<<16 {
		r.spare = peers[:0]
	}
	r.mu.Unlock()
}
