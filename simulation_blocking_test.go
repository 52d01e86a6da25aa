//go:build linux

package switchboard

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing/synctest"
	"time"
)

// What other goroutines do, they do while the loop's waits for it: all goroutines of a run are in a bubble of package synctest,
// whose time is the simulated kernel's. So it is always known when they have nothing left to do but to wait.

// settle has all other goroutines go on as far as they can, with the time that it is.
func (w *world) settle() {
	w.meet()
	if d := w.k.Now() - w.slept; d > 0 {
		w.slept += d
		time.Sleep(d)
	}
	synctest.Wait()
	for _, f := range w.lives {
		if f.block != nil {
			f.block.settled()
		}
	}
	w.checkShutdown()
	w.awaitNames()
}

// meet is called by the loop before other goroutines go on, and by these when they do. Only the race detector needs it: it does
// not know that a timer of the bubble's fires when the loop waits.
func (w *world) meet() {
	w.mu.Lock()
	defer w.mu.Unlock()
}

// wakeAfter has the loop come back after d, so that what waits for that time goes on then.
func (w *world) wakeAfter(d time.Duration) {
	w.k.After(d, w.wake)
}

// wake has a loop come back.
func (w *world) wake() { w.s.loops[0].engine.Wake() }

// orderAll gives orders to those whose turn it is.
func (w *world) orderAll() {
	for i := 0; i < len(w.lives); i++ {
		if b := w.lives[i].block; b != nil {
			b.order()
		}
	}
}

// A blocker is the handler of a life whose user's code waits: Blocking, with a function that does what it is ordered to.
type blocker struct {
	f       *life
	h       *BlockingHandler
	orders  chan func(conn net.Conn, r *bufio.Reader) (over bool, err error)
	conn    net.Conn
	serving bool   // the function runs
	busy    string // what it is in the midst of, or empty
	planned bool   // it is to get an order
	due     bool
	closed  bool // it has closed the connection

	readUntil, writeUntil time.Time
}

// blocks makes f one whose code waits.
func (f *life) blocks() {
	b := &blocker{f: f, orders: make(chan func(net.Conn, *bufio.Reader) (bool, error))}
	b.h = Blocking(b.serve)
	b.h.AtOpen = f.w.chance(3)
	f.block, f.plain, f.quits = b, false, 0
}

// serve is the user's function.
func (b *blocker) serve(conn net.Conn, r *bufio.Reader) error {
	if b.serving {
		b.f.w.fault("%v: its function is called while it runs", b.f)
	}
	b.serving, b.conn = true, conn
	defer func() { b.serving, b.busy = false, "" }()
	for do := range b.orders {
		over, err := do(conn, r)
		b.f.w.meet()
		if b.busy = ""; over {
			return err
		}
	}
	return nil
}

// settled sees to it that one who has nothing to do gets an order.
func (b *blocker) settled() {
	w := b.f.w
	if b.serving && b.busy == "" && !b.planned {
		b.planned = true
		w.k.After(time.Duration(w.rng.IntN(3)*w.rng.IntN(3000))*time.Microsecond, func() {
			b.due = true
			w.wake()
		})
	}
	now := time.Now()
	if b.busy == "read" && !b.readUntil.IsZero() && now.After(b.readUntil) || b.busy == "write" && !b.writeUntil.IsZero() && now.After(b.writeUntil) {
		w.fault("%v: its %s outlasts the deadline", b.f, b.busy)
	}
	if b.busy != "" && b.f.closed > 0 {
		w.fault("%v: its %s outlasts the connection", b.f, b.busy)
	}
}

// order has b do something, if it is its turn.
func (b *blocker) order() {
	if b.serving && b.busy != "" {
		b.disturb()
	}
	if !b.due || !b.serving || b.busy != "" {
		return
	}
	b.due, b.planned = false, false
	w, f := b.f.w, b.f
	send := func(what string, do func(net.Conn, *bufio.Reader) (bool, error)) {
		w.log("order %d: %s", f.number, what)
		b.busy = what
		w.steps++
		b.orders <- do
		w.settle()
	}
	returns := func(what string, err error) {
		send(what, func(net.Conn, *bufio.Reader) (bool, error) { return true, err })
	}
	if w.calm {
		returns("return EOF", io.EOF)
		return
	}
	switch w.rng.IntN(24) {
	case 0:
		returns("return", nil)
	case 1:
		if w.chance(3) {
			f.failed = true
			returns("fail", errSim)
		}
	case 2:
		if w.chance(3) {
			f.closing = true
			returns("return EOF", io.EOF)
		}
	case 3:
		if w.chance(3) {
			b.closed, f.closing = true, true
			send("close", func(conn net.Conn, _ *bufio.Reader) (bool, error) { return false, conn.Close() })
		}
	case 4:
		if w.breaks > 0 {
			f.broke = true
			exits := w.chance(2)
			send("break", func(net.Conn, *bufio.Reader) (bool, error) {
				if exits {
					runtime.Goexit()
				}
				panic("for testing")
			})
		}
	case 5, 6:
		until := w.deadline()
		b.readUntil = until
		send("deadline", func(conn net.Conn, _ *bufio.Reader) (bool, error) { conn.SetReadDeadline(until); return false, nil })
	case 7:
		until := w.deadline()
		b.writeUntil = until
		send("deadline", func(conn net.Conn, _ *bufio.Reader) (bool, error) { conn.SetWriteDeadline(until); return false, nil })
	case 8:
		if w.chance(4) && !f.closing {
			f.outEnded = true
			send("closewrite", func(conn net.Conn, _ *bufio.Reader) (bool, error) {
				conn.(interface{ CloseWrite() error }).CloseWrite()
				return false, nil
			})
		}
	case 9, 10:
		n := 1 + w.rng.IntN(100)
		send("read", func(_ net.Conn, r *bufio.Reader) (bool, error) {
			p, err := r.Peek(n)
			w.meet()
			if err != nil && err != bufio.ErrBufferFull {
				b.checkRead(err)
			}
			got, _ := r.Discard(len(p) / 2)
			b.consumed(p[:got])
			return false, nil
		})
	case 11, 12, 13, 14, 15:
		n := min(1+w.rng.IntN(1+3*w.s.limits.HighWater), int(f.size-f.wrote))
		p := make([]byte, n)
		f.stream.Fill(p, f.wrote)
		if n == 0 || b.closed {
			break
		}
		send("write", func(conn net.Conn, _ *bufio.Reader) (bool, error) {
			n, err := conn.Write(p)
			w.meet()
			f.wrote += int64(n)
			b.checkWrite(n, len(p), err)
			return false, nil
		})
	default:
		p := make([]byte, 1+w.rng.IntN(10_000))
		send("read", func(conn net.Conn, _ *bufio.Reader) (bool, error) {
			n, err := conn.Read(p)
			w.meet()
			if n > 0 {
				if b.closed {
					w.fault("%v: Read gives something after Close", f)
				}
				b.consumed(p[:n])
			} else {
				b.checkRead(err)
			}
			return false, nil
		})
	}
	b.settled()
}

// disturb does what another goroutine may do to b's connection, which is in the midst of something.
func (b *blocker) disturb() {
	w := b.f.w
	if b.closed || w.calm && b.f.closed > 0 {
		return
	}
	switch w.rng.IntN(40) {
	case 0:
		b.readUntil = w.deadline()
		b.conn.SetReadDeadline(b.readUntil)
	case 1:
		b.writeUntil = w.deadline()
		b.conn.SetWriteDeadline(b.writeUntil)
	case 2:
		if w.chance(4) {
			b.closed, b.f.closing = true, true
			b.conn.Close()
		}
	default:
		return
	}
	w.settle()
	if b.closed && b.busy != "" {
		w.fault("%v: its %s outlasts Close", b.f, b.busy)
	}
}

// deadline returns one that comes, is over, or is none.
func (w *world) deadline() time.Time {
	d := time.Duration(w.rng.IntN(100_000_000))
	switch w.rng.IntN(4) {
	case 0:
		return time.Time{}
	case 1:
		return time.Now().Add(-d - 1)
	}
	w.wakeAfter(d + 1)
	return time.Now().Add(d)
}

// consumed looks at bytes that were read.
func (b *blocker) consumed(p []byte) {
	f := b.f
	if f.peer != nil {
		if i := f.peer.Out.Check(p, f.consumed); i >= 0 {
			f.w.fault("%v: byte %d that was read is not what its peer has sent there", f, f.consumed+int64(i))
		}
	}
	f.consumed += int64(len(p))
}

// checkRead looks at a Read that gave nothing.
func (b *blocker) checkRead(err error) {
	f := b.f
	switch {
	case err == nil:
		f.w.fault("%v: Read gives nothing, and no error", f)
	case b.closed && !errors.Is(err, net.ErrClosed):
		f.w.fault("%v: Read after Close: %v", f, err)
	case errors.Is(err, net.ErrClosed) && !b.closed && !f.closing && !f.failed && f.closed == 0 && !f.c.marked(stopMark):
		f.w.fault("%v: Read says %v on an open connection", f, err)
	case errors.Is(err, os.ErrDeadlineExceeded) && (b.readUntil.IsZero() || time.Now().Before(b.readUntil)):
		f.w.fault("%v: Read's deadline is not over", f)
	case err == io.EOF && f.peer != nil && !f.inputEnded && f.closed == 0:
		f.w.fault("%v: Read says that the input has ended", f)
	}
}

// checkWrite looks at a Write that is over.
func (b *blocker) checkWrite(n, of int, err error) {
	switch f := b.f; {
	case f.outEnded && (n > 0 || err == nil):
		f.w.fault("%v: Write takes %d of %d bytes after CloseWrite: %v", f, n, of, err)
	case err == nil && n < of:
		f.w.fault("%v: Write takes %d of %d bytes without an error", f, n, of)
	case errors.Is(err, os.ErrDeadlineExceeded) && (b.writeUntil.IsZero() || time.Now().Before(b.writeUntil)):
		f.w.fault("%v: Write's deadline is not over", f)
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !f.closing && !f.outEnded && f.closed == 0 && !f.c.marked(stopMark):
		f.w.fault("%v: Write says %v on an open connection", f, err)
	}
}

// checkStuck looks whether b waits for what is there, when nothing will happen any more.
func (b *blocker) checkStuck() {
	f, c := b.f, b.f.c
	if st := c.more.Load(); st != nil && st.stream != nil && b.busy == "read" && (st.stream.in != nil || f.inputEnded) {
		f.w.fault("%v: its Read waits, and there is something to read", f)
	}
	if b.busy == "write" && c.Queued() == 0 {
		f.w.fault("%v: its Write waits, and there is room", f)
	}
	if f.inputEnded && !b.serving && c.state == stateOpen && !c.marked(stopMark) {
		f.w.fault("%v: its input has ended, and nobody is called", f)
	}
}

// reads tells whether the connection is to be read.
func (b *blocker) reads() bool {
	more := b.f.c.more.Load()
	return more == nil || more.stream == nil || !more.stream.paused
}

func (b *blocker) Opened(c *Conn) error {
	b.f.begun = true
	err := b.h.Opened(c)
	b.f.w.settle()
	return err
}

func (b *blocker) Data(c *Conn, p []byte) (int, error) {
	w, f := b.f.w, b.f
	w.datas++
	w.log("Data %d: %d bytes for one who waits", f.number, len(p))
	if f.closed > 0 || f.inputEnded || len(p) == 0 || len(p) > w.s.limits.InputLimit {
		w.fault("%v: Data of %d bytes", f, len(p))
	}
	n, err := b.h.Data(c, p)
	w.settle()
	return n, err
}

func (b *blocker) InputEnded(c *Conn, rest []byte) error {
	w, f := b.f.w, b.f
	w.log("InputEnded %d, rest %d", f.number, len(rest))
	if f.inputEnded || f.closed > 0 || len(rest) > 0 {
		w.fault("%v: InputEnded twice, after Closed, or with something left", f)
	}
	f.inputEnded = true
	err := b.h.InputEnded(c, rest)
	w.settle()
	return err
}

func (b *blocker) Drained(c *Conn) {
	b.h.Drained(c)
	b.f.w.settle()
}

func (b *blocker) Closed(c *Conn, err error) {
	b.h.Closed(c, err)
	b.f.w.settle()
	b.f.Closed(c, err)
	b.settled()
}
