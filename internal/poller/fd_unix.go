//go:build unix

package poller

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// An FD is a descriptor on which goroutines wait: in the poller of Go's runtime.
type FD struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

// NewFD gives fd, which must be non-blocking, to the poller. Close closes it; after an error it stays the caller's.
func NewFD(fd int) (*FD, error) {
	if err := Open(); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "socket")
	if file == nil {
		return nil, syscall.EBADF
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &FD{file: file, raw: raw}, nil
}

// Read calls try, and again whenever the descriptor may have become readable, until it reports that it is done. The
// descriptor stays open meanwhile. Errors: os.ErrDeadlineExceeded, also when the deadline has passed before; os.ErrClosed
// after Close, which ends the wait. Any number of goroutines may be in Read: they have their turns one after another.
func (f *FD) Read(try func(fd uintptr) (done bool)) error { return f.fail(f.raw.Read(try)) }

// Write is Read for a descriptor that becomes writable.
func (f *FD) Write(try func(fd uintptr) (done bool)) error { return f.fail(f.raw.Write(try)) }

// SetReadDeadline sets the time at which Read gives up, whoever is in it included. The zero time is none.
func (f *FD) SetReadDeadline(t time.Time) error { return f.fail(f.file.SetReadDeadline(t)) }

// SetWriteDeadline is SetReadDeadline for Write.
func (f *FD) SetWriteDeadline(t time.Time) error { return f.fail(f.file.SetWriteDeadline(t)) }

// Close closes the descriptor, when the last Read and Write have returned, and says what the system said. It waits for
// them, so try must not call it.
func (f *FD) Close() error {
	f.closed.Store(true)
	return f.file.Close()
}

// fail gives the error of a closed file, for which package os has several, its name.
func (f *FD) fail(err error) error {
	if err != nil && f.closed.Load() && !errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrClosed
	}
	return err
}
