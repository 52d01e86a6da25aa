package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// receiveDatagrams is listen --udp.
func (d *dialling) receiveDatagrams(at address) error {
	s, err := d.bindDatagrams(at)
	if err != nil {
		return fmt.Errorf("listen %s: %w", at, err)
	}
	defer s.Close()
	d.announce(s, at)
	e := &exchange{dialling: d, conn: &datagramPeer{Socket: s, d: d, known: make(chan struct{})}, in: os.Stdin, out: os.Stdout, listens: true}
	return e.run()
}

// bindDatagrams makes the socket that datagrams come to.
func (d *dialling) bindDatagrams(at address) (*socket.Socket, error) {
	host, port, _ := net.SplitHostPort(at.name)
	both := host == ""
	if both {
		host = "::"
	}
	s, err := bindOne(host, port, both)
	if both && err != nil && (errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		return bindOne("0.0.0.0", port, false)
	}
	return s, err
}

// bindOne binds to the first address of a host. With both, an IPv6 socket takes IPv4 too.
func bindOne(host, port string, both bool) (*socket.Socket, error) {
	found, err := socket.GetAddrInfo(context.Background(), host, port, &socket.AddrInfo{Type: socket.SOCK_DGRAM})
	if err != nil {
		return nil, err
	}
	s, err := socket.New(found[0].Family, socket.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if found[0].Family == socket.AF_INET6 {
		err = s.SetV6Only(!both)
	}
	if err == nil {
		err = s.Bind(found[0].Addr)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// A datagramPeer is a socket of datagrams with the one who wrote first or, with --keep, last.
type datagramPeer struct {
	*socket.Socket
	d     *dialling
	known chan struct{} // closed when there is a peer

	mu   sync.Mutex
	peer socket.Addr
}

// Recv implements wire.
func (c *datagramPeer) Recv(p []byte) (int, error) {
	for {
		n, from, err := c.RecvFrom(p)
		if err != nil || c.accepts(from) {
			return n, err
		}
	}
}

// accepts tells whether what an address says is listened to.
func (c *datagramPeer) accepts(from socket.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.peer.IsValid()
	if !first && !c.d.keep {
		return c.peer == from
	}
	if c.peer != from && c.d.verbose {
		fmt.Fprintln(os.Stderr, "datagrams from", from)
	}
	if c.peer = from; first {
		close(c.known)
	}
	return true
}

// Send implements wire. It waits until there is somebody to send to.
func (c *datagramPeer) Send(p []byte) (int, error) {
	<-c.known
	c.mu.Lock()
	to := c.peer
	c.mu.Unlock()
	return c.SendTo(p, to)
}

// Shutdown implements wire. Datagrams have no end.
func (c *datagramPeer) Shutdown(int) error { return nil }

// SetReadDeadline implements wire.
func (c *datagramPeer) SetReadDeadline(t time.Time) error { return c.Socket.SetReadDeadline(t) }
