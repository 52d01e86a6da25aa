package handover

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// crowded is for how long Send waits for the other process to take descriptors, of which the system keeps only so many on their
// way for one user.
const crowded = time.Millisecond

// send sends all of p, and descriptors with its first byte.
func send(conn *net.UnixConn, p []byte, descriptors []int) error {
	var rights []byte
	if len(descriptors) > 0 {
		rights = syscall.UnixRights(descriptors...)
	}
	for {
		n, _, err := conn.WriteMsgUnix(p, rights, nil)
		if errors.Is(err, syscall.ETOOMANYREFS) {
			time.Sleep(crowded)
			if _, err := conn.Write(nil); err != nil { // the deadline
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if n < len(p) {
			_, err = conn.Write(p[n:])
		}
		return err
	}
}

// receive is recvmsg(2) into p, and returns the descriptors that came with the bytes. io.EOF says that there is nothing more.
func receive(conn *net.UnixConn, p []byte) (n int, descriptors []int, err error) {
	room := make([]byte, syscall.CmsgSpace(4*(MaxListeners+3)))
	n, rights, _, _, err := conn.ReadMsgUnix(p, room)
	descriptors, wrong := rightsOf(room[:rights])
	switch {
	case err != nil:
	case wrong != nil:
		err = wrong
	case n == 0:
		err = io.EOF
	}
	return n, descriptors, err
}

func rightsOf(p []byte) (descriptors []int, err error) {
	if len(p) == 0 {
		return nil, nil
	}
	messages, err := syscall.ParseSocketControlMessage(p)
	for i := range messages {
		list, wrong := syscall.ParseUnixRights(&messages[i])
		if wrong != nil {
			err = wrong
			continue
		}
		descriptors = append(descriptors, list...)
	}
	return descriptors, err
}

func closeDescriptor(fd int) { unix.Close(fd) }

// ReadPipe reads what is in a pipe, if it is non-blocking: read(2).
func ReadPipe(fd int, p []byte) (int, error) { return unix.Read(fd, p) }
