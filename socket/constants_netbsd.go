package socket

import "golang.org/x/sys/unix"

// Constants that NetBSD has, and not every other system.
const (
	SOCK_NONBLOCK    = unix.SOCK_NONBLOCK
	SOCK_CLOEXEC     = unix.SOCK_CLOEXEC
	MSG_CMSG_CLOEXEC = unix.MSG_CMSG_CLOEXEC

	TCP_KEEPCNT   = unix.TCP_KEEPCNT
	TCP_KEEPIDLE  = unix.TCP_KEEPIDLE
	TCP_KEEPINTVL = unix.TCP_KEEPINTVL

	IP_RECVDSTADDR = unix.IP_RECVDSTADDR
	ICMP6_FILTER   = unix.ICMP6_FILTER
	SCM_CREDS      = unix.SCM_CREDS
)
