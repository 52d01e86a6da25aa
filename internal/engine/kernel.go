package engine

import (
	"bytes"
	"net/netip"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/selector"
)

// A Kernel is the seam to the operating system: all that an engine and its loop ask of it, and the clock. System is the
// real one. Its methods never wait, but for Sleep, Poller.Select and the ring's Wait and Sleep. Where nothing else is said they
// are package rawio's.
type Kernel interface {
	// Now returns the time since some fixed moment. It never goes back.
	Now() time.Duration

	// Sleep waits.
	Sleep(d time.Duration)

	// Open opens what a readiness engine waits with (selector.Open).
	Open(mechanism string) (Poller, error)

	Accept(fd int) (int, rawio.Peer, syscall.Errno)
	Recv(fd int, p []byte) (int, syscall.Errno)
	Send(fd int, p []byte) (int, syscall.Errno)
	ShutdownWrite(fd int) syscall.Errno
	Reset(fd int)
	Close(fd int)
	Dup(fd int) (int, error)

	Socket(family int) (int, error)
	ConnectInet(fd int, to netip.AddrPort, scope uint32) syscall.Errno
	ConnectUnix(fd int, path string) syscall.Errno
	LocalName(fd int) (rawio.Peer, string)
	PeerName(fd int) (rawio.Peer, string)
	SocketError(fd int) syscall.Errno
	NoDelay(fd int) error
	KeepAlive(fd int, after time.Duration) error
	Uninherited(fd int) int

	// Untaken returns how many sent bytes the peer's system has not acknowledged, -1 when that is not known.
	Untaken(fd int) int

	// Ready returns which of want hold on fd now (poll(2)). An error or a hang-up is all of want.
	Ready(fd int, want Events) Events

	Splice(from, to, n int) (int, syscall.Errno)
	Pipe(size int) (r, w, holds int, err error)
}

// A Poller is a selector.Selector.
type Poller interface {
	Mechanism() string
	Register(fd int, ev selector.Events, data any) error
	Modify(fd int, ev selector.Events, data any) error
	Unregister(fd int) (selector.Key, error)
	Forget(fd int) (selector.Key, error)
	Select(timeout time.Duration) ([]selector.Ready, error)
	Wake() error
	Close() error
}

// System is the operating system's kernel.
var System Kernel = system{}

// Send is k.Send. The system's is called directly: p does not escape then, so that a handler may write from its stack.
func Send(k Kernel, fd int, p []byte) (int, syscall.Errno) {
	if _, ok := k.(system); ok {
		return rawio.Send(fd, p)
	}
	return k.Send(fd, bytes.Clone(p))
}

// Sendv is k.Sendv likewise.
func Sendv(k Kernel, fd int, bufs [][]byte) (int, syscall.Errno) {
	if _, ok := k.(system); ok {
		return rawio.Sendv(fd, bufs)
	}
	return k.Send(fd, bytes.Join(bufs, nil))
}

// A system has no state: its methods are package rawio's functions.
type system struct{}

var begun = time.Now()

func (system) Now() time.Duration { return time.Since(begun) }

func (system) Sleep(d time.Duration) { time.Sleep(d) }

func (system) Open(mechanism string) (Poller, error) { return selector.Open(mechanism) }

func (system) Accept(fd int) (int, rawio.Peer, syscall.Errno) { return rawio.Accept(fd) }
func (system) Recv(fd int, p []byte) (int, syscall.Errno)     { return rawio.Recv(fd, p) }
func (system) Send(fd int, p []byte) (int, syscall.Errno)     { return rawio.Send(fd, p) }
func (system) ShutdownWrite(fd int) syscall.Errno             { return rawio.ShutdownWrite(fd) }
func (system) Reset(fd int)                                   { rawio.Reset(fd) }
func (system) Close(fd int)                                   { rawio.Close(fd) }
func (system) Dup(fd int) (int, error)                        { return rawio.Dup(fd) }
func (system) Socket(family int) (int, error)                 { return rawio.Socket(family) }

func (system) ConnectInet(fd int, to netip.AddrPort, scope uint32) syscall.Errno {
	return rawio.ConnectInet(fd, to, scope)
}

func (system) ConnectUnix(fd int, path string) syscall.Errno { return rawio.ConnectUnix(fd, path) }
func (system) LocalName(fd int) (rawio.Peer, string)         { return rawio.LocalName(fd) }
func (system) PeerName(fd int) (rawio.Peer, string)          { return rawio.PeerName(fd) }
func (system) SocketError(fd int) syscall.Errno              { return rawio.SocketError(fd) }
func (system) NoDelay(fd int) error                          { return rawio.NoDelay(fd) }
func (system) KeepAlive(fd int, after time.Duration) error   { return rawio.KeepAlive(fd, after) }
func (system) Uninherited(fd int) int                        { return rawio.Uninherited(fd) }
func (system) Untaken(fd int) int                            { return rawio.Untaken(fd) }
func (system) Splice(from, to, n int) (int, syscall.Errno)   { return rawio.Splice(from, to, n) }
func (system) Pipe(size int) (r, w, holds int, err error)    { return rawio.Pipe(size) }

func (system) Ready(fd int, want Events) (got Events) {
	read, write := rawio.Ready(fd, want&Read != 0, want&Write != 0)
	if read {
		got |= Read
	}
	if write {
		got |= Write
	}
	return got & want
}
