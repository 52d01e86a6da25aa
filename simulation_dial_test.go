//go:build linux

package switchboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// A dialledName is what a life has dialled, and what the resolver says of it.
type dialledName struct {
	host    string
	takes   time.Duration
	addrs   []netip.Addr
	err     error
	port    uint16
	tried   int       // of the addresses, counted with those for which there was no socket
	until   time.Time // when the context of the dial ends, zero if it does not
	cancel  context.CancelFunc
	asked   bool
	awaited bool // the loop is to be woken when it is answered
}

var errNoName = errors.New("no such name")

// lookup is Server.lookup. It takes its time, so that it goes on only when the loop waits for it.
func (w *world) lookup(ctx context.Context, _, host string) ([]netip.Addr, error) {
	n := w.names[host]
	if n.asked {
		w.fault("%s is looked up twice", host)
	}
	n.asked = true
	timer := time.NewTimer(n.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		w.meet()
		return n.addrs, n.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// awaitNames has the loop woken when a look-up that has begun will be over.
func (w *world) awaitNames() {
	for _, f := range w.lives {
		if n := f.name; n != nil && n.asked && !n.awaited {
			n.awaited = true
			w.wakeAfter(n.takes + 1)
		}
	}
}

// byName makes f one that dials a name, and returns the address and the context to dial it with.
func (f *life) byName() (ctx context.Context, address string) {
	w := f.w
	n := &dialledName{port: w.ports, host: fmt.Sprintf("n%d.example", w.ports), takes: time.Duration(1 + w.rng.IntN(3)*w.rng.IntN(200_000_000))}
	f.name = n
	w.names[n.host] = n
	for i := range w.rng.IntN(4) {
		a := netip.AddrFrom4([4]byte{10, 0, 2, byte(1 + i)})
		n.addrs = append(n.addrs, a)
		w.callers[netip.AddrPortFrom(a, w.ports).String()] = f
	}
	if len(n.addrs) == 0 {
		n.err = errNoName
	}
	ctx = w.context()
	if w.chance(4) {
		d := time.Duration(1 + w.rng.IntN(3)*w.rng.IntN(200_000_000))
		n.until = time.Now().Add(d)
		ctx, n.cancel = context.WithTimeout(ctx, d)
		w.wakeAfter(d + 1)
	}
	w.log("%s is dialled, look-up %v, %d addresses, until %v", n.host, n.takes, len(n.addrs), n.until)
	return ctx, fmt.Sprintf("%s:%d", n.host, w.ports)
}

// A dialContext does not end, and counts who waits for that: once a connection is there, or is not to be, nobody does.
type dialContext struct {
	context.Context
	waiting *atomic.Int64
	done    chan struct{}
}

func (w *world) context() context.Context {
	return dialContext{context.Background(), &w.awaitings, make(chan struct{})}
}

func (c dialContext) Done() <-chan struct{} { return c.done }

// AfterFunc is what context.AfterFunc calls.
func (c dialContext) AfterFunc(func()) (stop func() bool) {
	c.waiting.Add(1)
	var once sync.Once
	return func() bool {
		once.Do(func() { c.waiting.Add(-1) })
		return true
	}
}

// attempt looks at an attempt to connect to one of the addresses of a name: they are tried in their order.
func (w *world) attempt(address string) {
	f := w.callers[address]
	if f == nil || f.name == nil {
		return
	}
	n, ap := f.name, netip.MustParseAddrPort(address)
	at := slices.Index(n.addrs, ap.Addr()) + 1
	if at < max(n.tried, 1) {
		w.fault("%v: %s is tried after %d addresses of %v", f, address, n.tried, n.addrs)
	}
	n.tried = at
}

// checkName looks at the end of a connection whose name was dialled.
func (f *life) checkName() {
	n := f.name
	if n == nil || f.begun {
		return
	}
	w := f.w
	var op *net.OpError
	var panicked *PanicError
	switch {
	case errors.As(f.err, &panicked): // in Server.DialControl
	case f.aborted || f.closing || f.broke || f.outEnded || errors.Is(f.err, ErrServerClosed) || errors.Is(f.err, ErrMemory):
	case !errors.As(f.err, &op) || op.Op != "dial":
		if f.plain || shortOfFiles(f.err) { // it may have been there, or could not be waited for
			return
		}
		w.fault("%v: it was dialled by name, and ends with %v", f, f.err)
	case errors.Is(f.err, context.DeadlineExceeded):
		if n.until.IsZero() || time.Now().Before(n.until) {
			w.fault("%v: the context of its dial has not ended", f)
		}
	case n.err != nil && !errors.Is(f.err, errNoName):
		w.fault("%v: its name has no address, and it says %v", f, f.err)
	default:
		for _, a := range n.addrs {
			if !strings.Contains(f.err.Error(), netip.AddrPortFrom(a, n.port).String()) {
				w.fault("%v: it gives up, and has not tried %v", f, a)
			}
		}
	}
}

// shortOfFiles tells whether a socket could not be made, so that an address was not even tried.
func shortOfFiles(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// A foreign connection is another library's, until the server adopts it.
type foreign struct {
	net.Conn
	w      *world
	fd     int
	remote net.Addr
	f      *life
	closed bool
}

func (c *foreign) RemoteAddr() net.Addr                  { return c.remote }
func (c *foreign) SyscallConn() (syscall.RawConn, error) { return foreignFD(c.fd), nil }

type foreignFD int

func (fd foreignFD) Control(f func(uintptr)) error { f(uintptr(fd)); return nil }
func (foreignFD) Read(func(uintptr) bool) error    { return errors.ErrUnsupported }
func (foreignFD) Write(func(uintptr) bool) error   { return errors.ErrUnsupported }

func (c *foreign) Close() error {
	if c.closed {
		c.w.fault("an adopted connection is closed twice")
	}
	c.closed = true
	c.w.k.Close(c.fd)
	return nil
}

// open has another library connect to somebody.
func (w *world) openForeign() {
	w.ports++
	f := w.newLife()
	f.stream = simkernel.Stream(1<<20 + f.number)
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 4, 1}), w.ports)
	w.callers[at.String()] = f
	fd, _, errno := w.k.Connected(at)
	if errno != 0 {
		w.lives = w.lives[:len(w.lives)-1]
		return
	}
	w.foreign = append(w.foreign, &foreign{w: w, fd: fd, remote: net.TCPAddrFromAddrPort(at), f: f})
}

// adopt has the server serve one of the connections that another library has opened, and has read from maybe.
func (w *world) adopt() {
	c := w.foreign[0]
	w.foreign = w.foreign[1:]
	f := c.f
	var ahead []byte
	if w.chance(2) {
		ahead = make([]byte, 1+w.rng.IntN(w.s.limits.InputLimit))
		n, errno := w.k.Recv(c.fd, ahead)
		switch {
		case errno == 0:
		case rawio.WouldBlock(errno):
			n = 0
		default: // a socket tells its error once: who has read it gives nobody the connection
			c.Close()
			return
		}
		ahead = ahead[:n]
	}
	var err error
	f.c, err = w.s.Adopt(c, ahead, nil, f.handler())
	if err != nil {
		if c.closed {
			w.fault("it is not adopted, and closed: %v", err)
		} else {
			c.Close()
		}
		return
	}
	if !c.closed {
		w.fault("%v: it is adopted, and not closed", f)
	}
	f.told, f.begunAt = true, w.k.Now()
}

// leaveForeign closes those that nobody has adopted.
func (w *world) leaveForeign() {
	for _, c := range w.foreign {
		c.Close()
	}
	for _, n := range w.names {
		if n.cancel != nil {
			n.cancel()
		}
	}
	if n := w.awaitings.Load(); n != 0 && len(w.faults) == 0 {
		w.fault("at the end %d contexts of dials are waited for", n)
	}
}
