package socket

import "golang.org/x/sys/unix"

// Constants that macOS has, and not every other system.
const (
	TCP_CONNECTION_INFO = unix.TCP_CONNECTION_INFO
	TCP_FASTOPEN        = unix.TCP_FASTOPEN
	TCP_KEEPALIVE       = unix.TCP_KEEPALIVE // what others call TCP_KEEPIDLE
	TCP_KEEPCNT         = unix.TCP_KEEPCNT
	TCP_KEEPINTVL       = unix.TCP_KEEPINTVL
	TCP_NOPUSH          = unix.TCP_NOPUSH
	TCP_NOTSENT_LOWAT   = unix.TCP_NOTSENT_LOWAT

	IP_PKTINFO                = unix.IP_PKTINFO
	IP_RECVTOS                = unix.IP_RECVTOS
	IP_RECVDSTADDR            = unix.IP_RECVDSTADDR
	IP_ADD_SOURCE_MEMBERSHIP  = unix.IP_ADD_SOURCE_MEMBERSHIP
	IP_DROP_SOURCE_MEMBERSHIP = unix.IP_DROP_SOURCE_MEMBERSHIP
	IP_BLOCK_SOURCE           = unix.IP_BLOCK_SOURCE
	IP_UNBLOCK_SOURCE         = unix.IP_UNBLOCK_SOURCE

	ICMP6_FILTER   = unix.ICMP6_FILTER
	LOCAL_PEERCRED = unix.LOCAL_PEERCRED
	LOCAL_PEERPID  = unix.LOCAL_PEERPID
	SO_LINGER_SEC  = unix.SO_LINGER_SEC // SO_LINGER counts ticks here
)
