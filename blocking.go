package switchboard

import (
	"bufio"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Blocking returns a Handler for ordinary code that waits. f reads and writes conn like any net.Conn, with deadlines, on a
// goroutine of its own. The goroutine exists only while f runs, so f should return when it has answered the input. If it
// returns nil, it is called again when there is more input. An error ends the connection as an error of Handler.Data does.
//
// r is a buffered reader of conn, for use with bufio, net/textproto or http.ReadRequest. Bytes that f leaves in r are in
// the r of the next call. After f has returned, r returns errors. Reading from conn reads from r. A json.Decoder keeps
// bytes in a buffer of its own, which would be lost between two calls: use it in a loop that ends with the connection, or
// read lines and use json.Unmarshal.
//
// Read waits for input and returns io.EOF at its end. Write waits while the output queue is full. If f returns nil without
// having consumed anything, it is called again only when more input has arrived. While f runs the connection is held, as
// by Conn.Hold; Server.IdleTimeout counts while f waits for input. One Handler serves any number of connections.
func Blocking(f func(conn net.Conn, r *bufio.Reader) error) *BlockingHandler {
	return &BlockingHandler{f: f}
}

// A BlockingHandler is the Handler that Blocking returns.
type BlockingHandler struct {
	// AtOpen makes the function run when the connection opens: to speak first, or to set a deadline for a client that
	// sends nothing. It must be set before the handler serves. Otherwise the function first runs when there is input, and
	// a silent client costs no goroutine.
	AtOpen bool

	f func(conn net.Conn, r *bufio.Reader) error
}

// A stream is a connection as the goroutine of a blocking handler sees it: a net.Conn.
type stream struct {
	c *Conn
	h *BlockingHandler

	mu       sync.Mutex
	in       *buffer.Buffer // received and not read
	at       int            // bytes of in that are read
	arrived  int64          // bytes received in all
	taken    int64          // bytes that f consumed in all
	seen     bool           // f has seen all of in, and consumed none of it
	running  bool           // there is a goroutine
	holds    bool           // the connection is held
	paused   bool           // the connection is not read, because nobody reads here
	inputEnd bool
	closed   bool          // by Close
	err      error         // the connection is gone, or to be served no longer
	reader   *bufio.Reader // of the call of f that runs
	source   *input        // below it

	reading, writing      sync.Mutex    // held by the one Read and the one Write at a time, before mu
	input, room           chan struct{} // a token each, when a waiting Read or Write should look again
	readUntil, writeUntil time.Time
	waits                 atomic.Bool // f waits for input
	untimed               atomic.Bool // the deadline was moved, maybe while it did not, and without the timeouts that it has then
}

// stream returns c's stream, and makes it if there is none. It belongs to the loop.
func (h *BlockingHandler) stream(c *Conn) *stream {
	more := c.extra()
	if more.stream == nil {
		more.stream = &stream{c: c, h: h, input: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	}
	c.flags |= keepsReading // one goroutine of f may wait in Write while another reads; Data bounds what is not read
	return more.stream
}

// Opened implements Opener.
func (h *BlockingHandler) Opened(c *Conn) error {
	if h.AtOpen {
		st := h.stream(c)
		st.mu.Lock()
		st.wake()
		st.mu.Unlock()
	}
	return nil
}

// Data implements Handler.
func (h *BlockingHandler) Data(c *Conn, p []byte) (int, error) {
	st := h.stream(c)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err != nil {
		return len(p), nil // nobody will read it: the connection ends
	}
	if st.in != nil && len(st.in.B)+len(p) > cap(st.in.B) { // what is read makes room before a larger buffer is taken
		st.in.B, st.at = st.in.B[:copy(st.in.B, st.in.B[st.at:])], 0
	}
	st.in = buffer.Append(st.in, p)
	st.arrived += int64(len(p))
	st.seen = false
	if len(st.in.B)-st.at >= c.loop.limits.HighWater {
		st.paused = true
		c.pause()
	}
	st.wake()
	return len(p), nil
}

// InputEnded implements InputEnder.
func (h *BlockingHandler) InputEnded(c *Conn, rest []byte) error {
	more := c.more.Load()
	if more == nil || more.stream == nil {
		return io.EOF
	}
	st := more.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	st.inputEnd = true
	if !st.running && st.in == nil {
		return io.EOF
	}
	st.wake()
	return nil
}

// Drained implements Drainer.
func (h *BlockingHandler) Drained(c *Conn) {
	if more := c.more.Load(); more != nil && more.stream != nil {
		signal(more.stream.room)
	}
}

// Closed implements Handler.
func (h *BlockingHandler) Closed(c *Conn, err error) {
	more := c.more.Load()
	if more == nil || more.stream == nil {
		return
	}
	st := more.stream
	if err == nil {
		err = net.ErrClosed
	}
	st.mu.Lock()
	if st.err == nil {
		st.err = err
	}
	if !st.running {
		st.drop()
	}
	st.mu.Unlock()
	signal(st.input)
	signal(st.room)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// wake has f look at the input. It runs on the loop, mu is held.
func (st *stream) wake() {
	switch {
	case st.running:
		signal(st.input)
	case st.err == nil:
		st.running = true
		if !st.holds {
			st.holds = true
			st.c.extra().holds.Add(1)
		}
		go st.run()
	default:
		return
	}
	st.c.loop.yield = true
}

// run calls f for as long as there is input for it.
func (st *stream) run() {
	for st.settle(st.call()) {
	}
}

// settle does what follows from f's having returned err, and tells whether f is to be called again.
func (st *stream) settle(err error) (again bool) {
	st.mu.Lock()
	if err == nil && st.err == nil {
		switch {
		case st.in != nil && !st.seen:
			st.mu.Unlock()
			return true
		case !st.inputEnd:
		case st.in != nil:
			err = io.ErrUnexpectedEOF
		default:
			err = io.EOF
		}
	}
	st.running = false
	if err != nil && st.err == nil {
		st.err = net.ErrClosed // before anybody can call f again
	}
	if st.err != nil {
		st.drop()
	}
	free := st.in == nil && st.holds // unconsumed input is a message that is under way
	if free {
		st.holds = false
	}
	st.mu.Unlock()
	if err != nil {
		st.c.end(orderly(err))
	}
	if free {
		st.c.extra().holds.Add(-1)
		st.c.loop.give(task{f: st.c.released})
	}
	return false
}

// call calls f once, and puts back what was read ahead for it.
func (st *stream) call() (err error) {
	source := &input{st: st}
	r := bufio.NewReader(source)
	st.mu.Lock()
	st.reader, st.source = r, source
	arrived, taken := st.arrived, st.taken
	st.mu.Unlock()
	returned := false
	defer func() {
		var v any
		if !returned {
			v = recover()
			err = st.panicked(v)
		}
		source.over.Store(true)
		signal(st.input)
		st.reading.Lock() // a Read that f left behind ends first
		ahead, _ := r.Peek(r.Buffered())
		st.mu.Lock()
		st.reader, st.source = nil, nil
		st.putBack(ahead)
		st.seen = st.arrived == arrived && st.taken == taken
		st.mu.Unlock()
		r.Discard(len(ahead))
		st.reading.Unlock()
		if !returned && v == nil { // this goroutine ends here
			st.settle(err)
		}
	}()
	err = st.h.f(st, r)
	returned = true
	return err
}

// panicked logs what f panicked with, nil for runtime.Goexit.
func (st *stream) panicked(v any) error {
	if v == nil {
		v = "runtime.Goexit in a handler"
	}
	err := &PanicError{v, debug.Stack()}
	st.c.Server().logger().Error("a blocking handler panicked", "remote", st.c.RemoteAddr(), "panic", v,
		"stack", string(err.Stack))
	return err
}

// putBack makes p, which was read last, unread again. mu is held.
func (st *stream) putBack(p []byte) {
	st.taken -= int64(len(p))
	if len(p) == 0 || st.err != nil {
		return
	}
	again := buffer.Append(nil, p)
	if st.in != nil {
		again = buffer.Append(again, st.in.B[st.at:])
	}
	st.drop()
	st.in = again
}

// drop lets the input go. mu is held.
func (st *stream) drop() {
	if st.in != nil {
		buffer.Put(st.in)
		st.in, st.at = nil, 0
	}
}
