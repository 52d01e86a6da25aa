//go:build unix

package bench

import (
	"net/netip"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// bindTo returns what binds a socket to one of the addresses, each in turn, and leaves the port to the system.
func bindTo(sources []netip.Addr) func(fd int) error {
	var next atomic.Uint32
	return func(fd int) error {
		addr := sources[int(next.Add(1)-1)%len(sources)]
		lateBind(fd)
		var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: addr.As16()}
		if addr.Is4() {
			sa = &unix.SockaddrInet4{Addr: addr.As4()}
		}
		return os.NewSyscallError("bind", unix.Bind(fd, sa))
	}
}
