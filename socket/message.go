package socket

import (
	"io"
	"syscall"
)

// A Control is one piece of control data (ancillary data) of a message: cmsg(3). Data is a C structure in the layout
// of the system.
type Control struct {
	Level, Type int
	Data        []byte
}

// A Message is what RecvMsg returns besides the bytes.
type Message struct {
	Control []Control
	Flags   int  // MSG_TRUNC: the message was longer than the buffers; MSG_CTRUNC: control data was lost; …
	Addr    Addr // the sender, as RecvFrom gives it
}

// ControlLen returns the size in bytes of a piece of control data with n data bytes, without padding after it:
// CMSG_LEN of cmsg(3).
func ControlLen(n int) int { return controlLen(n) }

// ControlSpace returns the size in bytes of a piece of control data with n data bytes, with the padding that the next
// piece needs: CMSG_SPACE of cmsg(3).
func ControlSpace(n int) int { return controlSpace(n) }

// SendMsg sends the buffers one after the other as one message, with control data, and returns the number of bytes
// sent: sendmsg(2). On a stream that may be less than all, as with Send; the control data has then been sent. The
// zero Addr means the connected peer. SendMsg does not keep the buffers.
func (s *Socket) SendMsg(buffers [][]byte, control []Control, to Addr, flags int) (int, error) {
	if to.IsValid() {
		if err := to.unfit(s.family); err != nil {
			return 0, failed("sendmsg", to.String(), err)
		}
	}
	return s.sendMsg("sendmsg", buffers, encodeControl(control), to, flags)
}

// RecvMsg receives a message into the buffers, one after the other, and returns the number of bytes: recvmsg(2).
// controlSize is the room for control data, in bytes: see ControlSpace. Flags are those of RecvFlags; MSG_WAITALL
// stops where descriptors were received.
//
// At the end of a stream the error is io.EOF. Without room for bytes and control data RecvMsg returns 0 at once on a
// stream. The caller owns received descriptors (SCM_RIGHTS) and must close them. Child processes do not inherit them.
// RecvFDs is easier.
func (s *Socket) RecvMsg(buffers [][]byte, controlSize, flags int) (int, Message, error) {
	n, raw, m, err := s.recvMsg(buffers, controlSize, flags)
	m.Control = decodeControl(raw)
	return n, m, s.failRecv("recvmsg", err)
}

// SendFDs sends open descriptors together with the bytes of p over a Unix socket. p must have at least one byte.
// SendFDs returns the number of bytes sent; the descriptors travel with the first byte. The receiver gets duplicates:
// the caller still owns its own.
func (s *Socket) SendFDs(p []byte, fds ...int) (int, error) { return s.SendFDsTo(p, fds, Addr{}, 0) }

// SendFDsTo is SendFDs with the destination and flags of SendMsg.
func (s *Socket) SendFDsTo(p []byte, fds []int, to Addr, flags int) (int, error) {
	const op = "send descriptors"
	switch {
	case s.family != AF_UNIX:
		return 0, s.fail(op, invalid(syscall.EAFNOSUPPORT, "only a Unix socket can send descriptors"))
	case len(p) == 0:
		return 0, s.fail(op, invalid(syscall.EINVAL, "descriptors travel with data: give at least one byte"))
	}
	if to.IsValid() {
		if err := to.unfit(s.family); err != nil {
			return 0, failed(op, to.String(), err)
		}
	}
	return s.sendMsg(op, [][]byte{p}, encodeFDs(fds), to, flags)
}

// RecvFDs receives bytes into p, and with them at most limit descriptors, over a Unix socket. The caller owns the
// descriptors and must close them. Child processes do not inherit them.
//
// If descriptors are lost, because more than limit came or this process cannot open more, RecvFDs closes those that
// came and returns EMSGSIZE. The n bytes are valid nevertheless.
func (s *Socket) RecvFDs(p []byte, limit int) (n int, fds []int, err error) {
	n, fds, _, err = s.RecvFDsFrom(p, limit, 0)
	return n, fds, err
}

// RecvFDsFrom is RecvFDs with the flags of RecvMsg. It also returns the sender's address and the flags of the
// message: MSG_TRUNC means that the datagram was longer than p. With MSG_PEEK the descriptors are duplicates; the
// message brings them again.
func (s *Socket) RecvFDsFrom(p []byte, limit, flags int) (n int, fds []int, m Message, err error) {
	const op = "receive descriptors"
	if s.family != AF_UNIX {
		return 0, nil, m, s.fail(op, invalid(syscall.EAFNOSUPPORT, "only a Unix socket can receive descriptors"))
	}
	// The padding that ControlSpace adds would let one descriptor too many in.
	n, raw, m, err := s.recvMsg([][]byte{p}, ControlLen(4*max(limit, 0)), flags)
	fds = decodeFDs(raw)
	if err == nil && m.Flags&MSG_CTRUNC == 0 && len(fds) <= limit {
		return n, fds, m, nil
	}
	for _, fd := range fds {
		sysClose(fd)
	}
	if err == nil {
		err = invalid(syscall.EMSGSIZE,
			"more came than asked for, or than this process may have: all that came are closed")
	}
	return n, nil, m, s.failRecv(op, err)
}

func (s *Socket) sendMsg(op string, buffers [][]byte, control []byte, to Addr, flags int) (n int, err error) {
	c := newCall(func(_ *call, fd int) (err error) {
		n, err = sysSendMsg(fd, buffers, control, to, flags)
		return err
	})
	defer c.free()
	if err = s.do(writing, c, s.waitLimit(flags)); err != nil && err != syscall.EAGAIN && to.IsValid() {
		return n, failed(op, to.String(), err)
	}
	return n, s.fail(op, err)
}

func (s *Socket) recvMsg(buffers [][]byte, controlSize, flags int) (n int, control []byte, m Message, err error) {
	ends := s.endsWithZero() && flags&errorQueue == 0
	if ends && s.typ == SOCK_STREAM && controlSize <= 0 && !room(buffers) {
		return 0, nil, m, s.open()
	}
	space := make([]byte, max(controlSize, 0))
	all := s.fills(flags)
	c := newCall(func(_ *call, fd int) error {
		for {
			if s.closed() {
				return errClosed
			}
			got, size, msgFlags, from, err := sysRecvMsg(fd, buffers, space, flags&^MSG_WAITALL)
			if err != nil {
				return err
			}
			ended := got == 0 && size == 0 && ends && room(buffers)
			if !ended || n == 0 {
				n, control, m.Flags, m.Addr = n+got, space[:size], msgFlags, from
			}
			if ended {
				return io.EOF
			}
			buffers = behind(buffers, got)
			// The next part may bring descriptors too, and these would be overwritten. Linux stops here as well.
			if !all || !room(buffers) || s.family == AF_UNIX && size > 0 {
				return nil
			}
		}
	})
	defer c.free()
	err = s.do(reading, c, s.waitLimit(flags))
	return n, control, m, err
}

// behind returns what is left of the buffers behind their first n bytes. The caller's own list stays as it is.
func behind(buffers [][]byte, n int) [][]byte {
	for len(buffers) > 0 && n >= len(buffers[0]) {
		n -= len(buffers[0])
		buffers = buffers[1:]
	}
	if n == 0 {
		return buffers
	}
	return append([][]byte{buffers[0][n:]}, buffers[1:]...)
}

func room(buffers [][]byte) bool {
	for _, b := range buffers {
		if len(b) > 0 {
			return true
		}
	}
	return false
}
