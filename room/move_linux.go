package room

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// socketPair returns a connection, and its other end for another process.
func socketPair() (near net.Conn, far *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	far = os.NewFile(uintptr(fds[1]), "rooms")
	if near, err = connOf(os.NewFile(uintptr(fds[0]), "rooms")); err != nil {
		far.Close()
	}
	return near, far, err
}

// connOf makes a connection of a file, which it closes.
func connOf(file *os.File) (net.Conn, error) {
	defer file.Close()
	return net.FileConn(file)
}

// passStore gives the other process the lock of a store's file, behind one byte.
func passStore(conn net.Conn, store Store) error {
	if store == nil {
		_, err := conn.Write([]byte{0})
		return err
	}
	s, ok := store.(*FileStore)
	if !ok {
		return fmt.Errorf("room: a store of the type %T cannot move to another process", store)
	}
	to, ok := conn.(*net.UnixConn)
	if !ok {
		return errState
	}
	_, _, err := to.WriteMsgUnix([]byte{1}, unix.UnixRights(int(s.held.Fd())), nil)
	return err
}

// takeStore opens the store with the lock that passStore has given.
func takeStore(conn net.Conn, store Store) error {
	from, ok := conn.(*net.UnixConn)
	if !ok {
		return errState
	}
	var p [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := from.ReadMsgUnix(p[:], rights)
	if err != nil || n != 1 {
		return errors.Join(errState, err)
	}
	var lock *os.File
	if messages, err := unix.ParseSocketControlMessage(rights[:max(size, 0)]); err == nil && len(messages) == 1 {
		if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
			unix.CloseOnExec(fds[0])
			lock = os.NewFile(uintptr(fds[0]), "lock")
		}
	}
	switch {
	case store == nil && p[0] == 0:
		return nil
	case store == nil || p[0] == 0:
		err = errors.New("room: one process keeps messages in a file and the other does not")
	case lock == nil:
		return errors.New("room: the lock of the file did not come: there are too few descriptors: raise the limit with ulimit -n")
	default:
		s, ok := store.(*FileStore)
		if !ok {
			err = fmt.Errorf("room: a store of the type %T cannot take over a file", store)
		} else {
			err = s.takeOver(lock)
		}
	}
	if err != nil && lock != nil {
		lock.Close()
	}
	return err
}
