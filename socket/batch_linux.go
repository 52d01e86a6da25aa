package socket

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

const optGRO = unix.UDP_GRO

// controlRoom is what one message has for control data: an int of UDP_GRO.
const controlRoom = unix.SizeofCmsghdr + 8

// messages are the arguments of sendmmsg(2) and recvmmsg(2), one for each datagram of the list.
type messages struct {
	headers  []unix.Mmsghdr
	vectors  []unix.Iovec
	names    []sockaddr
	controls [][controlRoom]byte
	used     int // how many the list needs
}

// grow makes room for n messages, and links what belongs together.
func (m *messages) grow(n int) {
	m.used = n
	if len(m.headers) >= n {
		return
	}
	n = max(n, min(2*len(m.headers), MaxBatch))
	m.headers, m.vectors = make([]unix.Mmsghdr, n), make([]unix.Iovec, n)
	m.names, m.controls = make([]sockaddr, n), make([][controlRoom]byte, n)
	for i := range m.headers {
		m.headers[i].Hdr.Iov = &m.vectors[i]
		m.headers[i].Hdr.SetIovlen(1)
	}
}

func (b *batch) put(i int) *unix.Msghdr {
	b.vectors[i].Base = unsafe.SliceData(b.list[i].Data)
	b.vectors[i].SetLen(len(b.list[i].Data))
	return &b.headers[i].Hdr
}

// forget lets go of the caller's buffers.
func (b *batch) forget() {
	clear(b.vectors[:b.used])
}

func (b *batch) prepareSend() error {
	b.grow(len(b.list))
	for i := range b.list {
		h, d := b.put(i), &b.list[i]
		h.Name, h.Namelen = nil, 0
		if d.Addr.IsValid() {
			if err := b.names[i].encode(d.Addr); err != nil {
				return b.endBefore(i, err)
			}
			h.Name, h.Namelen = &b.names[i].raw[0], b.names[i].len
		}
		h.Control = nil
		h.SetControllen(0)
		if d.Segment > 0 && len(d.Data) > d.Segment {
			h.Control = &b.controls[i][0]
			h.SetControllen(controlSpace(2))
			c := (*unix.Cmsghdr)(unsafe.Pointer(h.Control))
			c.Level, c.Type = unix.SOL_UDP, unix.UDP_SEGMENT
			c.SetLen(controlLen(2))
			binary.NativeEndian.PutUint16(b.controls[i][unix.SizeofCmsghdr:], uint16(d.Segment))
		}
	}
	return nil
}

// sendSome sends what is left of the list. The kernel tells of an error only when it is that of the first.
func (b *batch) sendSome(fd int) (int, error) {
	// Many datagrams may take a while, and so the scheduler is told.
	n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[b.n])),
		uintptr(len(b.list)-b.n), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func (b *batch) prepareRecv() { b.grow(len(b.list)) }

func (b *batch) recvSome(fd int) (int, error) {
	for i := range b.list {
		h := b.put(i)
		h.Name, h.Namelen = &b.names[i].raw[0], unix.SizeofSockaddrAny
		h.Control = &b.controls[i][0]
		h.SetControllen(controlRoom)
	}
	r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		uintptr(len(b.list)), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC, 0, 0)
	if e != 0 {
		return 0, e
	}
	for i := range b.list[:r] {
		h, d := &b.headers[i], &b.list[i]
		b.names[i].len = h.Hdr.Namelen
		d.N, d.Flags = int(h.Len), withoutOwn(int(h.Hdr.Flags), 0)
		d.Addr, _ = b.names[i].decode()
		d.Segment = segment(b.controls[i][:h.Hdr.Controllen])
	}
	return int(r), nil
}

// segment reads UDP_GRO; 0 where there is none.
func segment(control []byte) int {
	if len(control) < unix.SizeofCmsghdr+4 {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	if c.Level != unix.SOL_UDP || c.Type != unix.UDP_GRO {
		return 0
	}
	return int(int32(binary.NativeEndian.Uint32(control[unix.SizeofCmsghdr:])))
}
