package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
)

// lookupWait is how long the start of a proxy waits for the addresses of a target, to compare them with its own.
const lookupWait = 2 * time.Second

// localAddrs returns where sockets listen.
func localAddrs(listeners []*socket.Socket) (all []socket.Addr) {
	for _, l := range listeners {
		if here, err := l.LocalAddr(); err == nil {
			all = append(all, here)
		}
	}
	return all
}

// servedAddrs returns where a server listens, on sockets of its own or taken over.
func servedAddrs(server *switchboard.Server) (all []socket.Addr) {
	for _, at := range server.Addrs() {
		switch at := at.(type) {
		case *net.TCPAddr:
			all = append(all, socket.InetAddr(netip.AddrPortFrom(at.AddrPort().Addr().Unmap(), uint16(at.Port))))
		case *net.UnixAddr:
			all = append(all, socket.UnixAddr(at.Name))
		}
	}
	return all
}

// itself returns an error if one of the targets is where the proxy listens: such a proxy would connect each client to itself
// until no descriptor is left.
func itself(targets []destination, listens []socket.Addr) error {
	local := localAddresses()
	for _, to := range targets {
		for _, at := range reachedAs(to.address) {
			for _, here := range listens {
				if isSame(at, here, local) {
					return fmt.Errorf("--to %s: that is the proxy itself, which listens on %s: it would connect each client to itself for ever",
						to.address, inWords(here))
				}
			}
		}
	}
	return nil
}

// reachedAs returns the addresses that connecting to a target leads to, as far as they can be told.
func reachedAs(a address) []socket.Addr {
	if a.network == "unix" {
		return []socket.Addr{socket.UnixAddr(a.name)}
	}
	host, port, err := net.SplitHostPort(a.name)
	if err != nil {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupWait)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil // Dial will say so
	}
	var all []socket.Addr
	for _, ip := range ips {
		all = append(all, socket.InetAddr(netip.AddrPortFrom(ip.Unmap(), uint16(n))))
	}
	return all
}

// isSame tells whether who connects to one address is accepted at the other.
func isSame(to, listens socket.Addr, local []netip.Addr) bool {
	switch {
	case listens.Family() == socket.AF_UNIX && to.Family() == socket.AF_UNIX:
		if to.IsAbstract() || listens.IsAbstract() {
			return to.Path() == listens.Path()
		}
		a, err1 := os.Stat(to.Path())
		b, err2 := os.Stat(listens.Path())
		return err1 == nil && err2 == nil && os.SameFile(a, b)
	case listens.Family() == socket.AF_UNIX || to.Family() == socket.AF_UNIX || to.Port() != listens.Port():
		return false
	}
	target, here := to.AddrPort().Addr().Unmap().WithZone(""), listens.AddrPort().Addr().Unmap().WithZone("")
	if target.IsUnspecified() { // which connects to this host
		return here.IsUnspecified() || here.IsLoopback()
	}
	if here.IsUnspecified() {
		return target.IsLoopback() || slices.Contains(local, target)
	}
	return target == here
}

// localAddresses returns those of this host's interfaces.
func localAddresses() (all []netip.Addr) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range found {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, prefix.Addr().Unmap())
		}
	}
	return all
}
