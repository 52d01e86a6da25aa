package socket

import (
	"net/netip"
	"strconv"
	"syscall"
)

// JoinGroup lets the socket receive what is sent to a multicast group on an interface: IP_ADD_MEMBERSHIP,
// IPV6_JOIN_GROUP. If interfaceName is empty, the system takes the interface that has the route to the group, and
// fails with ENODEV if there is none.
//
// The socket must be bound to the port: at the group's address, which Windows does not allow, or at every address of the
// machine, where it also receives other groups that other sockets have joined. Close leaves all groups.
//
// IPv4 names the interface by its index on Linux, FreeBSD and macOS, and elsewhere by its first IPv4 address: if it has
// none, the error is EADDRNOTAVAIL.
func (s *Socket) JoinGroup(group netip.Addr, interfaceName string) error {
	return s.changeGroup("join group", joinGroup, group, netip.Addr{}, interfaceName)
}

// LeaveGroup undoes JoinGroup, with the same arguments.
func (s *Socket) LeaveGroup(group netip.Addr, interfaceName string) error {
	return s.changeGroup("leave group", leaveGroup, group, netip.Addr{}, interfaceName)
}

// JoinSource is JoinGroup for a single source (source-specific multicast, RFC 3678): MCAST_JOIN_SOURCE_GROUP. A
// socket can join several sources of a group. DragonFly, NetBSD and OpenBSD do not have it.
func (s *Socket) JoinSource(group, source netip.Addr, interfaceName string) error {
	return s.changeGroup("join source", joinSource, group, source, interfaceName)
}

// LeaveSource undoes JoinSource, with the same arguments.
func (s *Socket) LeaveSource(group, source netip.Addr, interfaceName string) error {
	return s.changeGroup("leave source", leaveSource, group, source, interfaceName)
}

// BlockSource stops the socket from receiving what a source sends to a group that JoinGroup joined:
// MCAST_BLOCK_SOURCE. The systems that have JoinSource have it.
func (s *Socket) BlockSource(group, source netip.Addr, interfaceName string) error {
	return s.changeGroup("block source", blockSource, group, source, interfaceName)
}

// UnblockSource undoes BlockSource, with the same arguments.
func (s *Socket) UnblockSource(group, source netip.Addr, interfaceName string) error {
	return s.changeGroup("unblock source", unblockSource, group, source, interfaceName)
}

// SetMulticastInterface sets the interface on which the socket sends to multicast groups: IP_MULTICAST_IF,
// IPV6_MULTICAST_IF. The empty name means that routes decide.
func (s *Socket) SetMulticastInterface(name string) error {
	const op = "set multicast interface"
	index, err := groupInterface(name)
	if err == nil {
		err = s.use(func(fd int) error { return sysMulticastInterface(fd, s.family, index) })
	}
	return s.fail(op, err)
}

// SetMulticastTTL sets the time to live of multicast packets, in hops: IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS. 0 keeps
// them on this machine. 1, the default, keeps them on the local network.
func (s *Socket) SetMulticastTTL(hops int) error {
	const op = "set multicast ttl"
	if hops < 0 || hops > 255 {
		return s.fail(op, invalid(syscall.EINVAL, "the number must be from 0 to 255"))
	}
	return s.fail(op, s.use(func(fd int) error { return sysMulticastTTL(fd, s.family, hops) }))
}

// SetMulticastLoop sets whether sockets of this machine that joined a group receive what this socket sends to it:
// IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP. The default is on. On Windows the receiving socket has the option: whether it
// receives what this machine sends.
func (s *Socket) SetMulticastLoop(on bool) error {
	return s.fail("set multicast loop", s.use(func(fd int) error { return sysMulticastLoop(fd, s.family, on) }))
}

type groupChange int

const (
	joinGroup groupChange = iota
	leaveGroup
	joinSource
	leaveSource
	blockSource
	unblockSource
)

func (s *Socket) changeGroup(op string, change groupChange, group, source netip.Addr, name string) error {
	group, source = group.Unmap(), source.Unmap()
	if name == "" {
		name = group.Zone()
	}
	group, source = group.WithZone(""), source.WithZone("")
	err := unfitGroup(change, group, source)
	if err == nil {
		var index int
		if index, err = groupInterface(name); err == nil {
			err = s.use(func(fd int) error { return sysChangeGroup(fd, change, group, source, index) })
		}
	}
	if err == nil {
		return nil
	}
	where := group.String()
	if name != "" {
		where += "%" + name
	}
	return failed(op, where, err)
}

func unfitGroup(change groupChange, group, source netip.Addr) error {
	switch {
	case !group.IsMulticast():
		return invalid(syscall.EINVAL, "the address is not a multicast group")
	case change == joinGroup || change == leaveGroup:
		return nil
	case !source.IsValid() || source.Is4() != group.Is4():
		return invalid(syscall.EINVAL, "the source must be an address of the same family as the group")
	}
	return nil
}

// groupHints has the Hint of errors of the calls above.
var groupHints = map[syscall.Errno]map[string]string{
	syscall.ENODEV: {
		"join group":  "no interface has a route to this group: name one",
		"join source": "no interface has a route to this group: name one",
	},
	syscall.EADDRINUSE: {
		"join group":  "the socket has joined it already",
		"join source": "the socket has joined it already",
	},
	syscall.EADDRNOTAVAIL: {
		"join group":              "the interface has no IPv4 address",
		"set multicast interface": "the interface has no IPv4 address",
		"leave group":             "the socket has not joined it",
		"leave source":            "the socket has not joined it",
		"block source":            "the source is blocked already",
		"unblock source":          "the source is not blocked",
	},
}

func groupInterface(name string) (index int, err error) {
	if name == "" {
		return 0, nil
	}
	if index, err = interfaceIndex(name); err == nil {
		return index, nil
	}
	if n, parseErr := strconv.ParseUint(name, 10, 31); parseErr == nil {
		return int(n), nil
	}
	return 0, err
}
