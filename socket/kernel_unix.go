//go:build unix

package socket

import "golang.org/x/sys/unix"

// System calls that are the same on every Unix.

func sysListen(fd, backlog int) error { return unix.Listen(fd, backlog) }

// shutdownWakes: a call that waits to receive is woken by SHUT_RD.
const shutdownWakes = true

func sysShutdown(fd, how int) error { return unix.Shutdown(fd, how) }

func sysClose(fd int) error { return unix.Close(fd) }

func sysDup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

func sysSetNonblock(fd int, on bool) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 == on {
		return err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags^unix.O_NONBLOCK)
	return err
}

func sysInheritable(fd int) (bool, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return flags&unix.FD_CLOEXEC == 0, err
}

func sysSetInheritable(fd int, on bool) error {
	flags := unix.FD_CLOEXEC
	if on {
		flags = 0
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags)
	return err
}

func sysOption(fd, level, name int) (int, error) { return unix.GetsockoptInt(fd, level, name) }

func sysSetOption(fd, level, name, value int) error {
	return unix.SetsockoptInt(fd, level, name, value)
}

func sysSetOptionBytes(fd, level, name int, value []byte) error {
	return unix.SetsockoptString(fd, level, name, string(value))
}

func sysLinger(fd int) (on bool, seconds int, err error) {
	l, err := unix.GetsockoptLinger(fd, unix.SOL_SOCKET, optLinger)
	if err != nil {
		return false, 0, err
	}
	return l.Onoff != 0, int(l.Linger), nil
}

func sysSetLinger(fd int, on bool, seconds int) error {
	l := unix.Linger{Linger: int32(seconds)}
	if on {
		l.Onoff = 1
	}
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, optLinger, &l)
}

func sysSendFile(fd, file int, offset int64, count int) (int, error) {
	n, err := unix.Sendfile(fd, file, &offset, count)
	return max(n, 0), err
}

// sysLockDir takes the advisory lock of a directory; close gives it back. EWOULDBLOCK: somebody else has it.
func sysLockDir(path string) (lock int, err error) {
	lock, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(lock)
		return -1, err
	}
	return lock, nil
}
