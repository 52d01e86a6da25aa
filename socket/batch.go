package socket

import (
	"sync"
	"syscall"
)

// MaxBatch is the largest number of datagrams that one system call sends or receives: UIO_MAXIOV of Linux.
const MaxBatch = 1024

// A Datagram is one element of the lists of SendBatch and RecvBatch.
type Datagram struct {
	// Data is the bytes to send, or the buffer to receive into. RecvBatch does not change its length: the received
	// bytes are Data[:N].
	Data []byte

	// N is the number of bytes received. SendBatch ignores it.
	N int

	// Addr is the destination, where the zero Addr means the connected peer. RecvBatch sets it to the sender.
	Addr Addr

	// Segment, if it is more than 0, says that Data is several datagrams of this many bytes each, of which the last
	// may be shorter, and that the system sends them in one call (UDP_SEGMENT of udp(7); Linux). A Datagram holds at
	// most 64 of them, and at most 65507 bytes (65527 over IPv6). After SetGRO, RecvBatch sets it, to 0 for a single
	// datagram.
	Segment int

	// Flags are the flags of the received datagram, as in Message: MSG_TRUNC if it was longer than Data.
	Flags int
}

// SendBatch sends the datagrams in order and returns how many were sent. It is one system call for up to MaxBatch
// datagrams with sendmmsg(2), as on Linux, and one call for each datagram elsewhere. It waits until all are sent; the
// timeout applies to each MaxBatch of them. An error is that of list[n].
//
// In non-blocking mode it sends what the system takes, and returns ErrWouldBlock if that is not all. It does not keep
// the list or its buffers, and allocates nothing in steady state.
func (s *Socket) SendBatch(list []Datagram) (n int, err error) {
	const op = "sendmmsg"
	if err := s.unfitBatch(); err != nil {
		return 0, s.fail(op, err)
	}
	b := batches.Get().(*batch)
	defer b.free()
	for n < len(list) {
		b.list, b.n = list[n:min(len(list), n+MaxBatch)], 0
		if err = b.fit(s.family); err == nil {
			err = b.prepareSend()
		}
		if err == nil {
			c := newCall(b.trySend)
			err = s.do(writing, c, s.Timeout())
			c.free()
		}
		n += b.n
		b.forget()
		if err != nil {
			break
		}
	}
	if err == syscall.EINVAL && list[n].Segment > 0 {
		err = invalid(syscall.EINVAL, "the system takes no more than 64 segments, none of them longer than a packet")
	}
	if err != nil && err != syscall.EAGAIN && list[n].Addr.IsValid() {
		return n, failed(op, list[n].Addr.String(), err)
	}
	return n, s.fail(op, err)
}

// RecvBatch waits for a datagram, receives all datagrams that are there by then, at most len(list) and MaxBatch, and
// returns their number. It is one system call with recvmmsg(2), as on Linux, and one call for each datagram
// elsewhere.
//
// It sets all fields of each Datagram but Data. It does not receive control data. For IP addresses it allocates
// nothing in steady state.
func (s *Socket) RecvBatch(list []Datagram) (n int, err error) {
	const op = "recvmmsg"
	if err := s.unfitBatch(); err != nil {
		return 0, s.fail(op, err)
	}
	if len(list) == 0 {
		return 0, s.fail(op, s.open())
	}
	b := batches.Get().(*batch)
	defer b.free()
	b.list, b.n = list[:min(len(list), MaxBatch)], 0
	b.prepareRecv()
	c := newCall(b.tryRecv)
	err = s.do(reading, c, s.Timeout())
	c.free()
	b.forget()
	return b.n, s.fail(op, err)
}

// SetGRO lets RecvBatch receive several datagrams of the same sender and size as one, with their size in Segment
// (UDP_GRO of udp(7); Linux). Other receiving calls then also get them as one, without their size, except RecvMsg
// with room for control data. Buffers should have 65535 bytes.
func (s *Socket) SetGRO(on bool) error {
	return s.setOption("set gro", IPPROTO_UDP, optGRO, number(on))
}

func (s *Socket) unfitBatch() error {
	if s.endsWithZero() {
		return invalid(syscall.EINVAL, "only a datagram socket has batches")
	}
	return nil
}

// fit leaves of the list what stands before a datagram that cannot be sent; its error, when it is the first.
func (b *batch) fit(family int) error {
	for i := range b.list {
		if err := b.list[i].unfit(family); err != nil {
			return b.endBefore(i, err)
		}
	}
	return nil
}

// endBefore leaves the first i datagrams of the list: the error of the next comes when it is the first.
func (b *batch) endBefore(i int, err error) error {
	if i == 0 {
		return err
	}
	b.list = b.list[:i]
	return nil
}

func (d *Datagram) unfit(family int) error {
	switch {
	case d.Segment < 0 || d.Segment > 65535:
		return invalid(syscall.EINVAL, "the segment must be from 0 to 65535 bytes")
	case d.Segment > 0 && optGRO == lacking:
		return unsupported()
	case d.Addr.IsValid():
		return d.Addr.unfit(family)
	}
	return nil
}

// A batch is what the system needs for a list of datagrams. Batches are pooled, and with them their bound methods.
type batch struct {
	list []Datagram // at most MaxBatch
	n    int        // how many of them are done

	trySend, tryRecv func(c *call, fd int) error
	messages
}

var batches = sync.Pool{New: func() any {
	b := new(batch)
	b.trySend, b.tryRecv = b.send, b.recv
	return b
}}

func (b *batch) free() {
	b.list, b.n = nil, 0
	batches.Put(b)
}

func (b *batch) send(c *call, fd int) error {
	for b.n < len(b.list) {
		if c.sock.closed() {
			return errClosed
		}
		n, err := b.sendSome(fd)
		b.n += n
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) recv(_ *call, fd int) (err error) {
	b.n, err = b.recvSome(fd)
	return err
}
