package selector

import (
	"fmt"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	ws2     = windows.NewLazySystemDLL("ws2_32.dll")
	wsaPoll = ws2.NewProc("WSAPoll")
)

// A pollFD is a WSAPOLLFD.
type pollFD struct {
	Fd      uintptr
	Events  int16
	Revents int16
}

// WSAPoll refuses POLLPRI, and tells of urgent data as POLLRDBAND. A half-close of the peer is a POLLHUP to it, asked or not.
const (
	pollIn   = 0x100 // POLLRDNORM
	pollPri  = 0x200 // POLLRDBAND
	pollOut  = 0x10
	pollErr  = 0x1
	pollHup  = 0x2
	pollNval = 0x4
)

func newPollFD(fd int, bits int16) pollFD { return pollFD{Fd: uintptr(fd), Events: bits} }

// pollFor waits as long as the timeout says, negative without end.
func pollFor(fds []pollFD, timeout time.Duration) (n int, err error) {
	if len(fds) == 0 { // which WSAPoll refuses
		time.Sleep(max(timeout, 0))
		return 0, nil
	}
	r, _, err := syscall.SyscallN(wsaPoll.Addr(), uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)),
		uintptr(milliseconds(timeout)))
	if n = int(int32(r)); n < 0 {
		if err != windows.WSAENOTSOCK {
			return 0, err
		}
		markBad(fds)
	}
	if slices.ContainsFunc(fds, isBad) {
		return pollBesideBad(fds), nil
	}
	if n < 0 {
		return 0, err
	}
	return n, nil
}

// markBad finds those that are no sockets after WSAPoll has refused the whole list, for all of them or for one.
func markBad(fds []pollFD) {
	for i := range fds {
		fds[i].Revents = 0
		if checkOpen(int(fds[i].Fd)) != nil {
			fds[i].Revents = pollNval
		}
	}
}

func isBad(p pollFD) bool { return p.Revents&pollNval != 0 }

// pollBesideBad asks about the good ones again, which WSAPoll may have left out beside the bad ones, and counts the ready
// ones, which it may have miscounted.
func pollBesideBad(fds []pollFD) (n int) {
	good := slices.DeleteFunc(slices.Clone(fds), isBad)
	if _, err := pollFor(good, 0); err != nil {
		good = nil
	}
	for i := range fds {
		if !isBad(fds[i]) && good != nil {
			fds[i].Revents = good[0].Revents
			good = good[1:]
		}
		if fds[i].Revents != 0 {
			n++
		}
	}
	return n
}

// checkOpen says EBADF when fd is not an open socket.
func checkOpen(fd int) error {
	const soType = 0x1008
	_, err := windows.GetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, soType)
	return notSocket(err)
}

// notSocket adds the portable number to Winsock's.
func notSocket(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", syscall.EBADF, err)
}
