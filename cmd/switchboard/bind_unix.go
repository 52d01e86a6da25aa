//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/socket"
)

// bindTo binds a socket to an address to connect from.
func bindTo(fd int, source socket.Addr) error {
	ap := source.AddrPort()
	var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: ap.Addr().As16(), Port: int(ap.Port())}
	if ap.Addr().Is4() {
		sa = &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}
