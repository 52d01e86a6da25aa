package afd

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A Port takes the completions of polls. Its methods may be called from any goroutine, but Wait from one at a time.
type Port struct {
	iocp windows.Handle

	mu     sync.Mutex
	groups []*group
	free   []int // numbers of polls that NewPoll may give
}

// A group is polls that share a handle of AFD. Few sockets share one, as a poll and its cancelling search what is pending
// on the handle. Polls never leave their Port, so that the kernel, which writes to those that are pending, can trust them.
type group struct {
	device windows.Handle
	polls  [groupSize]Poll
}

const groupSize = 32

// Open makes a Port.
func Open() (*Port, error) {
	iocp, err := windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 1)
	if err != nil {
		return nil, os.NewSyscallError("CreateIoCompletionPort", err)
	}
	p := &Port{iocp: iocp}
	if err := p.grow(); err != nil { // tells now whether there is an AFD
		windows.CloseHandle(iocp)
		return nil, err
	}
	return p, nil
}

// grow adds a group. It is called with mu held, or by Open.
func (p *Port) grow() error {
	device, err := openDevice()
	if err != nil {
		return err
	}
	if _, err = windows.CreateIoCompletionPort(device, p.iocp, 0, 0); err != nil {
		windows.CloseHandle(device)
		return os.NewSyscallError("CreateIoCompletionPort", err)
	}
	// A completion need not set the handle's event too, for which nobody waits.
	if err := windows.SetFileCompletionNotificationModes(device, windows.FILE_SKIP_SET_EVENT_ON_HANDLE); err != nil {
		windows.CloseHandle(device)
		return os.NewSyscallError("SetFileCompletionNotificationModes", err)
	}
	g := &group{device: device}
	for i := range g.polls {
		number := len(p.groups)*groupSize + i
		g.polls[i] = Poll{device: device, number: number}
		p.free = append(p.free, number)
	}
	p.groups = append(p.groups, g)
	return nil
}

func openDevice() (device windows.Handle, err error) {
	name, err := windows.NewNTUnicodeString(`\Device\Afd\Switchboard`)
	if err != nil {
		return 0, err
	}
	attributes := windows.OBJECT_ATTRIBUTES{ObjectName: name}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	var status windows.IO_STATUS_BLOCK
	err = windows.NtCreateFile(&device, windows.SYNCHRONIZE, &attributes, &status, nil, 0,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, windows.FILE_OPEN, 0, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("opening %v: %w", name, err)
	}
	return device, nil
}

// NewPoll returns a poll that is not pending. Give it back with Free.
func (p *Port) NewPoll(owner any) (*Poll, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		if err := p.grow(); err != nil {
			return nil, err
		}
	}
	last := len(p.free) - 1
	poll := p.poll(p.free[last])
	p.free = p.free[:last]
	poll.Owner = owner
	return poll, nil
}

// Free gives back a poll that is not pending.
func (p *Port) Free(poll *Poll) {
	poll.Owner = nil
	p.mu.Lock()
	p.free = append(p.free, poll.number)
	p.mu.Unlock()
}

func (p *Port) poll(number int) *Poll { return &p.groups[number/groupSize].polls[number%groupSize] }

// A Completion is what Wait found: the end of a poll, or a Wake.
type Completion struct {
	_      uintptr
	number uintptr // of the poll, from one up; zero is a Wake
	_      uintptr
	_      uint32
}

// Wait takes completions until into is full or there are no more. With none it waits for the first, for the timeout
// rounded up to milliseconds; negative waits without end. It blocks the thread, as far as it waits.
func (p *Port) Wait(into []Completion, timeout time.Duration) (n int, err error) {
	milliseconds := uint32(windows.INFINITE)
	if timeout >= 0 {
		milliseconds = uint32(min((timeout+time.Millisecond-1)/time.Millisecond, windows.INFINITE-1))
	}
	var count uint32
	ok, _, e := syscall.SyscallN(getCompleted.Addr(), uintptr(p.iocp), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)),
		uintptr(unsafe.Pointer(&count)), uintptr(milliseconds), 0)
	switch {
	case ok != 0:
		return int(count), nil
	case e == syscall.Errno(windows.WAIT_TIMEOUT):
		return 0, nil
	}
	return 0, os.NewSyscallError("GetQueuedCompletionStatusEx", e)
}

// Poll returns the poll that has completed, which is pending no more, or nil for a Wake. It is called once for each.
func (p *Port) Poll(c *Completion) *Poll {
	if c.number == 0 {
		return nil
	}
	p.mu.Lock()
	poll := p.poll(int(c.number - 1))
	p.mu.Unlock()
	poll.pending.Store(false)
	return poll
}

// Wake ends a Wait that is under way, or the next.
func (p *Port) Wake() error {
	return os.NewSyscallError("PostQueuedCompletionStatus", windows.PostQueuedCompletionStatus(p.iocp, 0, 0, nil))
}

// Close ends every poll and releases the Port. No other method may be under way, nor follow.
func (p *Port) Close() error {
	pending := 0
	for _, g := range p.groups {
		for i := range g.polls {
			if g.polls[i].pending.Load() {
				pending++
				g.polls[i].Cancel()
			}
		}
	}
	// The kernel writes to a poll until its completion is here.
	var err error
	var completions [groupSize]Completion
	for pending > 0 && err == nil {
		var n int
		n, err = p.Wait(completions[:], time.Minute)
		if n == 0 && err == nil {
			err = errors.New("the system does not end polls that were cancelled")
		}
		for i := range completions[:n] {
			if p.Poll(&completions[i]) != nil {
				pending--
			}
		}
	}
	if err != nil {
		abandoned.Store(p, nil)
	}
	for _, g := range p.groups {
		err = errors.Join(err, windows.CloseHandle(g.device))
	}
	return errors.Join(err, windows.CloseHandle(p.iocp))
}

// abandoned keeps the memory of polls that could not be ended.
var abandoned sync.Map
