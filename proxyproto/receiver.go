package proxyproto

import (
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/switchboard-go/switchboard"
)

// A Receiver is a switchboard.Admitter that reads a header from each connection that comes from a named address, before TLS,
// and has Conn.RemoteAddr return the address of the client from then on. A connection from a named address that does not begin
// with a header is refused. Connections from other addresses are admitted as they are; a header that they send is data like
// any other.
//
// In Server.Admission a Receiver comes before Admitters that look at the address of the client. Its fields must not change
// while the server runs; it may serve several servers.
type Receiver struct {
	// From are the addresses of the proxies. A connection over IPv6 from an IPv4 address counts as one over IPv4.
	From []netip.Prefix

	// FromUnix has connections to Unix sockets begin with a header as well: whoever may connect there may name any client.
	FromUnix bool

	// Received is called with each header, before the connection is admitted, on the loop of the connection; it must not wait.
	// Conn.RemoteAddr is the client's address by then. Received may keep h, for example with Conn.SetValue. An error refuses the
	// connection. It may be nil.
	Received func(c *switchboard.Conn, h *Header) error
}

// Admit implements switchboard.Admitter.
func (r *Receiver) Admit(c *switchboard.Conn, p []byte) (int, error) {
	if !r.named(c.RemoteAddr()) {
		return 0, nil
	}
	if len(p) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	h, n, err := Parse(p)
	if err == io.ErrUnexpectedEOF {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("%w: from the proxy %v", err, c.RemoteAddr())
	}
	if h.Source != nil {
		c.SetRemoteAddr(h.Source)
	}
	if r.Received != nil {
		err = r.Received(c, h)
	}
	return n, err
}

// Ended implements switchboard.Admitter.
func (r *Receiver) Ended(*switchboard.Conn) {}

// named tells whether a proxy is at an address.
func (r *Receiver) named(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return r.FromUnix
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, prefix := range r.From {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}
