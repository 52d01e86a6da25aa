package poller

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/afd"
)

// An FD is a socket on which goroutines wait: in one poller for the whole process, which has one thread. The poller of
// Go's runtime only waits for calls that it has made itself.
type FD struct {
	socket windows.Handle
	base   windows.Handle

	mu     sync.Mutex
	users  int // goroutines in Read and Write
	closed bool
	unused sync.Cond // signalled when the last of the users leaves a closed FD
	sides  [2]side   // reading, writing
}

// A side is one direction of an FD. FD.mu guards it.
type side struct {
	fd       *FD
	turn     sync.Mutex // held by the goroutine in Read or Write
	events   uint32     // of the poll
	poll     *afd.Poll  // pending, unless nil
	looks    uint64     // counts the polls that have completed
	changed  sync.Cond  // broadcast after a completion, at the deadline, and on Close
	deadline time.Time
	alarm    *time.Timer
}

const (
	readEvents  = afd.Receive | afd.Accept | afd.Disconnect | afd.Abort | afd.ConnectFail | afd.LocalClose
	writeEvents = afd.Send | afd.Abort | afd.ConnectFail | afd.LocalClose
)

// NewFD gives a socket, which must be non-blocking, to the poller. Close closes it; after an error it stays the caller's.
func NewFD(fd int) (*FD, error) {
	base, err := afd.Base(fd)
	if err != nil {
		return nil, err
	}
	if err := start(); err != nil {
		return nil, err
	}
	f := &FD{socket: windows.Handle(fd), base: base}
	f.unused.L = &f.mu
	for i, events := range [...]uint32{readEvents, writeEvents} {
		f.sides[i] = side{fd: f, events: events}
		f.sides[i].changed.L = &f.mu
	}
	return f, nil
}

// Read calls try, and again whenever the descriptor may have become readable, until it reports that it is done. The
// descriptor stays open meanwhile. Errors: os.ErrDeadlineExceeded, also when the deadline has passed before; os.ErrClosed
// after Close, which ends the wait. Any number of goroutines may be in Read: they have their turns one after another.
func (f *FD) Read(try func(fd uintptr) (done bool)) error { return f.sides[0].wait(try) }

// Write is Read for a descriptor that becomes writable.
func (f *FD) Write(try func(fd uintptr) (done bool)) error { return f.sides[1].wait(try) }

// SetReadDeadline sets the time at which Read gives up, whoever is in it included. The zero time is none.
func (f *FD) SetReadDeadline(t time.Time) error { return f.sides[0].setDeadline(t) }

// SetWriteDeadline is SetReadDeadline for Write.
func (f *FD) SetWriteDeadline(t time.Time) error { return f.sides[1].setDeadline(t) }

// Close closes the descriptor, when the last Read and Write have returned, and says what the system said. It waits for
// them, so try must not call it.
func (f *FD) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return os.ErrClosed
	}
	f.closed = true
	for i := range f.sides {
		s := &f.sides[i]
		s.changed.Broadcast()
		if s.alarm != nil {
			s.alarm.Stop()
		}
		if s.poll != nil {
			s.poll.Cancel()
		}
	}
	for f.users > 0 {
		f.unused.Wait()
	}
	f.mu.Unlock()
	return os.NewSyscallError("closesocket", windows.Closesocket(f.socket))
}

func (s *side) wait(try func(fd uintptr) (done bool)) error {
	f := s.fd
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return os.ErrClosed
	}
	f.users++
	f.mu.Unlock()
	defer f.leave()
	s.turn.Lock()
	defer s.turn.Unlock()
	for {
		if err := s.ended(); err != nil {
			return err
		}
		if try(uintptr(f.socket)) {
			return nil
		}
		if err := s.look(); err != nil {
			return err
		}
	}
}

func (f *FD) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users--; f.users == 0 && f.closed {
		f.unused.Signal()
	}
}

// look waits until the socket may have become ready after it was called, or the wait is to end.
func (s *side) look() error {
	s.fd.mu.Lock()
	defer s.fd.mu.Unlock()
	for before := s.looks; s.looks == before; {
		if err := s.why(); err != nil {
			return err
		}
		if s.poll == nil {
			if err := s.arm(); err != nil {
				return err
			}
		}
		s.changed.Wait()
	}
	return nil
}

func (s *side) ended() error {
	s.fd.mu.Lock()
	defer s.fd.mu.Unlock()
	return s.why()
}

// why says why nobody may wait, or wait longer.
func (s *side) why() error {
	switch {
	case s.fd.closed:
		return os.ErrClosed
	case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// arm begins a poll. One that is pending when the wait ends stays for the next.
func (s *side) arm() error {
	poll, err := process.port.NewPoll(s)
	if err != nil {
		return err
	}
	if err := poll.Arm(s.fd.base, s.events); err != nil {
		process.port.Free(poll)
		return err
	}
	s.poll = poll
	return nil
}

// completed is told by the poller that the poll is pending no more.
func (s *side) completed() {
	s.fd.mu.Lock()
	defer s.fd.mu.Unlock()
	process.port.Free(s.poll)
	s.poll = nil
	s.looks++
	s.changed.Broadcast()
}

func (s *side) setDeadline(t time.Time) error {
	s.fd.mu.Lock()
	defer s.fd.mu.Unlock()
	if s.fd.closed {
		return os.ErrClosed
	}
	s.deadline = t
	s.changed.Broadcast()
	if s.alarm != nil {
		s.alarm.Stop()
	}
	if t.IsZero() {
		return nil
	}
	if s.alarm == nil {
		s.alarm = time.AfterFunc(time.Until(t), s.ring)
	} else {
		s.alarm.Reset(time.Until(t))
	}
	return nil
}

func (s *side) ring() {
	s.fd.mu.Lock()
	defer s.fd.mu.Unlock()
	if left := time.Until(s.deadline); !s.deadline.IsZero() && left > 0 && !s.fd.closed {
		s.alarm.Reset(left) // set for an earlier one, or the clock was changed
	}
	s.changed.Broadcast()
}

// process is the poller of this process. It is started when it is first needed and never ends.
var process struct {
	mu   sync.Mutex
	port *afd.Port
}

func start() error {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.port != nil {
		return nil
	}
	port, err := afd.Open()
	if err != nil {
		return err
	}
	process.port = port
	go serve(port)
	return nil
}

func serve(port *afd.Port) {
	completions := make([]afd.Completion, 256)
	for {
		n, err := port.Wait(completions, -1)
		if err != nil {
			panic("poller: " + err.Error()) // nobody who waits would ever be woken
		}
		for i := range completions[:n] {
			if poll := port.Poll(&completions[i]); poll != nil {
				poll.Owner.(*side).completed()
			}
		}
	}
}
