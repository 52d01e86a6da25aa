//go:build !unix

package socket

import "net/netip"

func sysChangeGroup(fd int, change groupChange, group, source netip.Addr, index int) error {
	return unsupported()
}
func sysMulticastInterface(fd, family, index int) error { return unsupported() }
func sysMulticastTTL(fd, family, hops int) error        { return unsupported() }
func sysMulticastLoop(fd, family int, on bool) error    { return unsupported() }
