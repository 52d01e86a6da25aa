package socket

import "golang.org/x/sys/unix"

// Constants that OpenBSD has, and not every other system.
const (
	SOCK_NONBLOCK    = unix.SOCK_NONBLOCK
	SOCK_CLOEXEC     = unix.SOCK_CLOEXEC
	MSG_CMSG_CLOEXEC = unix.MSG_CMSG_CLOEXEC
	SO_DOMAIN        = unix.SO_DOMAIN
	SO_PROTOCOL      = unix.SO_PROTOCOL
	SO_PEERCRED      = unix.SO_PEERCRED

	TCP_INFO   = unix.TCP_INFO
	TCP_NOPUSH = unix.TCP_NOPUSH

	IP_RECVDSTADDR = unix.IP_RECVDSTADDR
	ICMP6_FILTER   = unix.ICMP6_FILTER
)
