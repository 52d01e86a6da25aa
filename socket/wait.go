package socket

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/poller"
)

// SetBlocking sets the mode of later calls. In blocking mode calls wait; only the goroutine waits, not a thread. In
// non-blocking mode calls that would wait return ErrWouldBlock, and Connect returns ErrInProgress. It is
// SetTimeout(-1) or SetTimeout(0).
func (s *Socket) SetBlocking(on bool) error {
	if on {
		return s.SetTimeout(-1)
	}
	return s.SetTimeout(0)
}

// SetTimeout sets how long later calls may wait before they fail with os.ErrDeadlineExceeded. A negative d, the
// default, means no limit: blocking mode. 0 means that calls do not wait: non-blocking mode. The time starts when a
// call first waits, also when it waits behind another call in the same direction. SendAll and SendFile have d for the
// whole call.
func (s *Socket) SetTimeout(d time.Duration) error {
	if s.closed() {
		return s.fail("set timeout", errClosed)
	}
	s.timeout.Store(int64(max(d, -1)))
	return nil
}

// Timeout returns the value of SetTimeout: -1 in blocking mode, 0 in non-blocking mode.
func (s *Socket) Timeout() time.Duration { return time.Duration(s.timeout.Load()) }

// SetDeadline calls SetReadDeadline and SetWriteDeadline.
func (s *Socket) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// SetReadDeadline sets the time at which receiving and accepting calls fail with os.ErrDeadlineExceeded, including
// those that already wait. The zero time means no deadline. If there is a timeout too, the earlier one counts.
// Non-blocking calls ignore it.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.setDeadline(reading, t) }

// SetWriteDeadline is SetReadDeadline for calls that send or connect.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.setDeadline(writing, t) }

func (s *Socket) setDeadline(dir direction, t time.Time) error {
	if !s.acquire() {
		return s.fail("set deadline", errClosed)
	}
	defer s.release()
	p, err := s.parking()
	if err != nil {
		return s.fail("set deadline", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline[dir] = t
	p.apply(dir)
	return nil
}

type direction int

const (
	reading direction = iota
	writing
)

// A call is a system call that may have to wait: its arguments, and its results. Calls are pooled, and with them
// the closure that the runtime's poller wants, so that sending and receiving allocate nothing.
type call struct {
	try   func(c *call, fd int) error // makes the system call; EAGAIN to be called again when fd is ready
	sock  *Socket
	buf   []byte
	flags int
	addr  sockaddr
	n     int

	// Waiting
	dir     direction
	timeout time.Duration
	until   time.Time // when timeout ends; zero until somebody looked at the clock
	parking *parking
	limited bool // whether the poller knows the timeout
	err     error
	step    func(fd uintptr) bool // tryAgain, bound once
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.step = c.tryAgain
	return c
}}

func newCall(try func(c *call, fd int) error) *call {
	c := calls.Get().(*call)
	c.try = try
	return c
}

func (c *call) free() {
	c.try, c.sock, c.buf, c.parking, c.err = nil, nil, nil, nil, nil
	c.flags, c.n = 0, 0
	calls.Put(c)
}

func (c *call) attempt(fd int) error {
	for {
		if err := c.try(c, fd); err != syscall.EINTR {
			return err
		}
	}
}

func (c *call) tryAgain(fd uintptr) (done bool) {
	c.err = c.attempt(int(fd))
	if c.err != syscall.EAGAIN {
		return true
	}
	if c.timeout > 0 && !c.limited {
		c.limited = true
		if c.until.IsZero() {
			c.until = time.Now().Add(c.timeout)
		}
		c.parking.limitTo(c.dir, c.until)
	}
	return false
}

// do makes the call, and waits as long as timeout says.
func (s *Socket) do(dir direction, c *call, timeout time.Duration) error {
	c.sock = s
	c.until = time.Time{}
	if timeout != 0 {
		var ok bool
		if c.until, ok = s.turn[dir].take(timeout); !ok {
			return os.ErrDeadlineExceeded
		}
		defer s.turn[dir].pass()
	}
	p := s.parked.Load()
	if timeout == 0 || p == nil {
		if !s.acquire() {
			return errClosed
		}
		err := c.attempt(s.fd)
		if err != syscall.EAGAIN || timeout == 0 {
			s.release()
			return err
		}
		p, err = s.parking()
		s.release()
		if err != nil {
			return err
		}
	}
	// The poller keeps the descriptor open from here on, and a Close takes it from there.
	c.dir, c.timeout, c.parking, c.limited = dir, timeout, p, false
	return p.wait(c)
}

// A parking is a descriptor in a poller, where goroutines wait without a thread. A descriptor goes there when a call first
// has to wait, so that the sockets of an event loop never do: there each of their events would also wake the poller.
type parking struct {
	fd *poller.FD

	mu       sync.Mutex
	deadline [2]time.Time // of SetDeadline
	limit    [2]time.Time // of the call that waits
	applied  [2]time.Time // what the poller was told
	ended    atomic.Bool  // endReading was called
}

// parking must be called between acquire and release.
func (s *Socket) parking() (*parking, error) {
	if p := s.parked.Load(); p != nil {
		return p, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parked.Load(); p != nil {
		return p, nil
	}
	if s.closed() {
		return nil, errClosed
	}
	// Someone who shares the socket may have made it blocking.
	if err := sysSetNonblock(s.fd, true); err != nil {
		return nil, err
	}
	fd, err := poller.NewFD(s.fd)
	if err != nil {
		return nil, err
	}
	p := &parking{fd: fd}
	s.parked.Store(p)
	return p, nil
}

// wait makes the call, and again each time the descriptor has become ready, until it is done.
func (p *parking) wait(c *call) (err error) {
	if c.dir == reading {
		err = p.fd.Read(c.step)
	} else {
		err = p.fd.Write(c.step)
	}
	if c.limited {
		p.limitTo(c.dir, time.Time{})
	}
	switch {
	case err == nil:
		return c.err
	case c.sock.closed():
		return errClosed
	case c.dir == reading && p.ended.Load():
		return c.sock.use(c.attempt)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	}
	return err
}

// endReading wakes the call that waits to receive, and has it and every later one find the end of the stream.
func (p *parking) endReading() {
	p.ended.Store(true)
	p.fd.SetReadDeadline(time.Unix(1, 0))
}

func (p *parking) limitTo(dir direction, t time.Time) {
	p.mu.Lock()
	p.limit[dir] = t
	p.apply(dir)
	p.mu.Unlock()
}

// apply tells the poller the earlier of the deadline and the limit. It is called with mu held.
func (p *parking) apply(dir direction) {
	t := p.deadline[dir]
	if l := p.limit[dir]; t.IsZero() || !l.IsZero() && l.Before(t) {
		t = l
	}
	if t == p.applied[dir] {
		return
	}
	p.applied[dir] = t
	// An error says that the file is closed, and whoever waits learns that by itself.
	if dir == reading {
		p.fd.SetReadDeadline(t)
	} else {
		p.fd.SetWriteDeadline(t)
	}
}

// expired reports whether the deadline of SetDeadline has passed.
func (s *Socket) expired(dir direction) bool {
	p := s.parked.Load()
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.deadline[dir]
	return !t.IsZero() && !time.Now().Before(t)
}
