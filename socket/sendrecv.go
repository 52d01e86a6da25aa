package socket

import (
	"io"
	"syscall"
	"time"
)

// Recv receives available bytes into p, at most len(p), and returns their number: recv(2). It waits until there is at
// least one. At the end of a stream the error is io.EOF. The part of a datagram that does not fit into p is lost; a
// datagram of 0 bytes is not the end. With an empty p Recv returns 0 at once and receives nothing.
func (s *Socket) Recv(p []byte) (int, error) { return s.recv(p, 0) }

// RecvFlags is Recv with flags: MSG_PEEK, MSG_OOB, MSG_WAITALL, MSG_DONTWAIT, or others of the system.
//
// MSG_DONTWAIT makes this call non-blocking. MSG_WAITALL fills p, unless the stream ends or an error occurs: then n
// is the number of bytes received. It has no effect in non-blocking calls, on datagrams and with MSG_PEEK. With
// MSG_TRUNC, on Linux, n is the length of the whole datagram. MSG_ERRQUEUE never waits. With an empty p RecvFlags
// receives nothing from a stream and returns 0 at once; it takes (or with MSG_PEEK sees) one datagram.
func (s *Socket) RecvFlags(p []byte, flags int) (int, error) {
	if !s.fills(flags) || len(p) == 0 {
		return s.recv(p, flags&^MSG_WAITALL)
	}
	c := newCall(tryRecvAll)
	c.buf, c.flags = p, flags&^MSG_WAITALL
	err := s.do(reading, c, s.Timeout())
	n := c.n
	c.free()
	return n, s.failRecv("recv", err)
}

// Read is Recv: a Socket is an [io.Reader].
func (s *Socket) Read(p []byte) (int, error) { return s.recv(p, 0) }

// RecvFrom is Recv that also returns the sender's address: recvfrom(2). If the system reports none, on a connected
// stream and for a Unix socket without a name, it is the zero Addr or UnixAddr(""). With an empty p RecvFrom takes
// one datagram, and returns 0 at once on a stream.
func (s *Socket) RecvFrom(p []byte) (int, Addr, error) { return s.RecvFromFlags(p, 0) }

// RecvFromFlags is RecvFrom with the flags of RecvFlags.
func (s *Socket) RecvFromFlags(p []byte, flags int) (int, Addr, error) {
	if len(p) == 0 && s.typ == SOCK_STREAM {
		return 0, Addr{}, s.fail("recvfrom", s.open())
	}
	try := tryRecvFrom
	if s.fills(flags) {
		try = tryRecvAllFrom
	}
	c := newCall(try)
	c.buf, c.flags = p, flags&^MSG_WAITALL
	err := s.do(reading, c, s.waitLimit(flags))
	n := c.n
	var from Addr
	if err == nil {
		from, _ = c.addr.decode()
		if n == 0 && len(p) > 0 && s.endsWithZero() && flags&errorQueue == 0 {
			err = io.EOF
		}
	}
	c.free()
	return n, from, s.failRecv("recvfrom", err)
}

// Send sends as many bytes of p as the system takes now, and returns their number: send(2). It waits while the system
// takes none. A datagram is sent whole or not at all. Send does not keep p. See SendAll.
func (s *Socket) Send(p []byte) (int, error) { return s.SendFlags(p, 0) }

// SendFlags is Send with flags: MSG_OOB, MSG_DONTROUTE, MSG_DONTWAIT, or others of the system.
func (s *Socket) SendFlags(p []byte, flags int) (int, error) {
	c := newCall(trySend)
	c.buf, c.flags = p, flags
	err := s.do(writing, c, s.waitLimit(flags))
	n := c.n
	c.free()
	return n, s.fail("send", err)
}

// SendAll sends all bytes of p. After an error n is the number of bytes sent. Blocking calls of other goroutines do
// not send between these bytes. In non-blocking mode SendAll sends what the system takes, and returns ErrWouldBlock
// if that is not all of p.
func (s *Socket) SendAll(p []byte) (int, error) { return s.SendAllFlags(p, 0) }

// SendAllFlags is SendAll with the flags of SendFlags. Every system call gets the flags: with MSG_OOB the last byte
// of each call is urgent. MSG_DONTWAIT makes this call non-blocking.
func (s *Socket) SendAllFlags(p []byte, flags int) (int, error) {
	c := newCall(trySendAll)
	c.buf, c.flags = p, flags
	err := s.do(writing, c, s.waitLimit(flags))
	n := c.n
	c.free()
	return n, s.fail("send", err)
}

// Write is SendAll: a Socket is an [io.Writer].
func (s *Socket) Write(p []byte) (int, error) { return s.SendAll(p) }

// SendTo sends p as one datagram to an address: sendto(2). The zero Addr means the connected peer. SendTo does not
// keep p.
func (s *Socket) SendTo(p []byte, to Addr) (int, error) { return s.SendToFlags(p, to, 0) }

// SendToFlags is SendTo with the flags of SendFlags.
func (s *Socket) SendToFlags(p []byte, to Addr, flags int) (int, error) {
	if !to.IsValid() {
		return s.SendFlags(p, flags)
	}
	if err := to.unfit(s.family); err != nil {
		return 0, failed("sendto", to.String(), err)
	}
	c := newCall(trySendTo)
	c.buf, c.flags = p, flags
	err := c.addr.encode(to)
	if err == nil {
		err = s.do(writing, c, s.waitLimit(flags))
	}
	n := c.n
	c.free()
	if err != nil && err != syscall.EAGAIN {
		return n, failed("sendto", to.String(), err)
	}
	return n, s.fail("sendto", err)
}

func (s *Socket) recv(p []byte, flags int) (int, error) {
	if len(p) == 0 && (flags == 0 || s.typ == SOCK_STREAM) {
		return 0, s.fail("recv", s.open())
	}
	c := newCall(tryRecv)
	c.buf, c.flags = p, flags
	err := s.do(reading, c, s.waitLimit(flags))
	n := c.n
	c.free()
	if err == nil && n == 0 && len(p) > 0 && s.endsWithZero() && flags&errorQueue == 0 {
		err = io.EOF
	}
	return n, s.failRecv("recv", err)
}

// open is errClosed after Close.
func (s *Socket) open() error {
	if s.closed() {
		return errClosed
	}
	return nil
}

// fills reports whether a call with the flags fills its buffer. The kernel cannot see to that: each call that it gets
// has MSG_DONTWAIT.
func (s *Socket) fills(flags int) bool {
	return flags&MSG_WAITALL != 0 && flags&MSG_PEEK == 0 && s.typ == SOCK_STREAM && s.waitLimit(flags) != 0
}

// waitLimit is how long a call with the flags may wait.
func (s *Socket) waitLimit(flags int) time.Duration {
	if flags&(MSG_DONTWAIT|errorQueue) != 0 {
		return 0
	}
	return s.Timeout()
}

// endsWithZero reports whether receiving 0 bytes means the end.
func (s *Socket) endsWithZero() bool { return s.typ == SOCK_STREAM || s.typ == SOCK_SEQPACKET }

func (s *Socket) failRecv(op string, err error) error {
	if err == io.EOF {
		return err
	}
	return s.fail(op, err)
}

func tryRecv(c *call, fd int) (err error) {
	c.n, err = sysRecv(fd, c.buf, c.flags)
	return err
}

func tryRecvAll(c *call, fd int) error {
	for c.n < len(c.buf) {
		if c.sock.closed() {
			return errClosed
		}
		n, err := sysRecv(fd, c.buf[c.n:], c.flags)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		c.n += n
	}
	return nil
}

func tryRecvFrom(c *call, fd int) (err error) {
	c.n, err = sysRecvFrom(fd, c.buf, c.flags, &c.addr)
	return err
}

// tryRecvAllFrom is tryRecvAll for RecvFrom.
func tryRecvAllFrom(c *call, fd int) error {
	for c.n < len(c.buf) {
		if c.sock.closed() {
			return errClosed
		}
		n, err := sysRecvFrom(fd, c.buf[c.n:], c.flags, &c.addr)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		c.n += n
	}
	return nil
}

func trySend(c *call, fd int) (err error) {
	c.n, err = sysSend(fd, c.buf, c.flags)
	return err
}

func trySendAll(c *call, fd int) error {
	for {
		n, err := sysSend(fd, c.buf[c.n:], c.flags)
		if err != nil {
			return err
		}
		c.n += n
		if c.n == len(c.buf) {
			return nil
		}
		if c.sock.closed() {
			return errClosed
		}
	}
}

func trySendTo(c *call, fd int) (err error) {
	c.n, err = sysSendTo(fd, c.buf, c.flags, &c.addr)
	return err
}
