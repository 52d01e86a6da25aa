package selector

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// A wakeFile becomes readable when another goroutine rings it: an eventfd.
type wakeFile struct{ fd int }

func openWakeFile() (wakeFile, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	return wakeFile{fd}, err
}

// readFD is the descriptor to wait for.
func (w wakeFile) readFD() int { return w.fd }

func (w wakeFile) ring() error {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, err := unix.Write(w.fd, one[:])
	return err
}

// drain makes it unreadable again.
func (w wakeFile) drain() {
	var count [8]byte
	unix.Read(w.fd, count[:])
}

func (w wakeFile) close() error { return unix.Close(w.fd) }
