//go:build !linux

package socket

import "syscall"

// Batches where the system moves one datagram in a call, or golang.org/x/sys knows no other way.

const optGRO = lacking

type messages struct{}

func (b *batch) forget() {}

func (b *batch) prepareSend() error { return nil }

func (b *batch) sendSome(fd int) (n int, err error) {
	d := &b.list[b.n]
	if !d.Addr.IsValid() {
		_, err = sysSend(fd, d.Data, 0)
	} else {
		var to sockaddr
		if err = to.encode(d.Addr); err == nil {
			_, err = sysSendTo(fd, d.Data, 0, &to)
		}
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}

func (b *batch) prepareRecv() {}

func (b *batch) recvSome(fd int) (n int, err error) {
	for n < len(b.list) {
		d := &b.list[n]
		var flags int
		d.N, _, flags, d.Addr, err = sysRecvMsg(fd, [][]byte{d.Data}, nil, 0)
		if n > 0 && err != nil && err != syscall.EINTR {
			return n, nil // an error comes again, or is not worth what was received
		}
		if err == syscall.EINTR && n > 0 {
			continue
		}
		if err != nil {
			return n, err
		}
		d.Flags, d.Segment = flags, 0
		n++
	}
	return n, nil
}
