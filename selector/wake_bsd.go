//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// A wakeFile becomes readable when another goroutine rings it: a pipe.
type wakeFile struct{ r, w int }

func openWakeFile() (wakeFile, error) {
	var p [2]int
	// macOS has no pipe2: a child forked between the calls must not inherit the pipe.
	syscall.ForkLock.RLock()
	err := unix.Pipe(p[:])
	if err == nil {
		unix.CloseOnExec(p[0])
		unix.CloseOnExec(p[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return wakeFile{}, err
	}
	w := wakeFile{p[0], p[1]}
	if err := errors.Join(unix.SetNonblock(w.r, true), unix.SetNonblock(w.w, true)); err != nil {
		w.close()
		return wakeFile{}, err
	}
	return w, nil
}

// readFD is the descriptor to wait for.
func (w wakeFile) readFD() int { return w.r }

func (w wakeFile) ring() error {
	if _, err := unix.Write(w.w, []byte{1}); err != unix.EAGAIN { // a full pipe is readable
		return err
	}
	return nil
}

// drain makes it unreadable again.
func (w wakeFile) drain() {
	var b [64]byte
	for {
		if n, _ := unix.Read(w.r, b[:]); n < len(b) {
			return
		}
	}
}

func (w wakeFile) close() error { return errors.Join(unix.Close(w.r), unix.Close(w.w)) }
