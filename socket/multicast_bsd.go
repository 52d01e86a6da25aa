//go:build dragonfly || netbsd || openbsd

package socket

import (
	"net"
	"net/netip"
	"syscall"
)

// sysChangeSource is not there: the system has no choice of sources.
func sysChangeSource(fd int, change groupChange, group, source netip.Addr, index int) error {
	return unsupported()
}

// addressOf returns an IPv4 address of the interface with the index; 0.0.0.0 for none.
func addressOf(index int) (own [4]byte, err error) {
	if index == 0 {
		return own, nil
	}
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return own, errNoInterface
	}
	addrs, err := i.Addrs()
	if err != nil {
		return own, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			return [4]byte(n.IP.To4()), nil
		}
	}
	return own, syscall.EADDRNOTAVAIL
}
