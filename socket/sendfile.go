package socket

import (
	"errors"
	"io"
	"os"
	"syscall"
)

const (
	// sendFileChunk bounds one system call, so that a Close in between is noticed.
	sendFileChunk = 4 << 20

	// copyChunk is the buffer where the system cannot do without one.
	copyChunk = 64 << 10
)

// SendFile sends count bytes of a regular file, from offset on, and returns the number of bytes sent. A negative
// count means up to the end of the file. It uses sendfile(2) if the system has it, so that the bytes are not copied
// through this process. It ends early, without an error, at the end of the file. It neither uses nor moves the file's
// own position.
//
// In non-blocking mode SendFile sends what the system takes, and returns ErrWouldBlock if that is not all.
func (s *Socket) SendFile(f *os.File, offset, count int64) (int64, error) {
	const op = "sendfile"
	switch {
	case s.typ != SOCK_STREAM:
		return 0, s.fail(op, invalid(syscall.EINVAL, "only a stream socket can send a file"))
	case offset < 0:
		return 0, s.fail(op, invalid(syscall.EINVAL, "the offset is negative"))
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, s.fail(op, err)
	}
	t := fileTransfer{sock: s, file: f, raw: raw, offset: offset, left: count}
	c := newCall(func(_ *call, fd int) error { return t.run(fd) })
	defer c.free()
	err = s.do(writing, c, s.Timeout())
	return t.sent, s.fail(op, err)
}

type fileTransfer struct {
	sock   *Socket
	file   *os.File
	raw    syscall.RawConn
	offset int64
	left   int64 // negative: to the end of the file
	sent   int64
	buffer []byte // nil while the system copies
}

func (t *fileTransfer) run(fd int) error {
	for t.left != 0 {
		if t.sock.closed() {
			return errClosed
		}
		n, err := t.step(fd)
		t.sent += int64(n)
		t.offset += int64(n)
		if t.left > 0 {
			t.left -= int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *fileTransfer) step(fd int) (n int, err error) {
	if t.buffer != nil {
		return t.copy(fd)
	}
	size := t.atMost(sendFileChunk)
	if t.raw.Control(func(in uintptr) { n, err = sysSendFile(fd, int(in), t.offset, size) }) != nil {
		return 0, os.ErrClosed
	}
	switch {
	case n > 0:
		// The BSDs send some and say EAGAIN in one call; asked again they say it alone.
		return n, nil
	case err == nil:
		return 0, io.EOF
	case errors.Is(err, errors.ErrUnsupported) || err == syscall.EINVAL:
		t.buffer = make([]byte, copyChunk)
		return 0, nil
	}
	return 0, err
}

// copy sends the file by way of the buffer. What the socket did not take is read again later.
func (t *fileTransfer) copy(fd int) (int, error) {
	p := t.buffer[:t.atMost(copyChunk)]
	n, err := t.file.ReadAt(p, t.offset)
	if n == 0 {
		return 0, err
	}
	return sysSend(fd, p[:n], 0)
}

func (t *fileTransfer) atMost(n int) int {
	if t.left < 0 {
		return n
	}
	return int(min(t.left, int64(n)))
}
