//go:build unix

package socket

import "golang.org/x/sys/unix"

// The constants of the Berkeley calls, spelled as in C. Every method also takes other constants of golang.org/x/sys/unix.
const (
	AF_UNSPEC = unix.AF_UNSPEC
	AF_UNIX   = unix.AF_UNIX
	AF_INET   = unix.AF_INET
	AF_INET6  = unix.AF_INET6

	SOCK_STREAM    = unix.SOCK_STREAM
	SOCK_DGRAM     = unix.SOCK_DGRAM
	SOCK_SEQPACKET = unix.SOCK_SEQPACKET
	SOCK_RAW       = unix.SOCK_RAW

	SHUT_RD   = unix.SHUT_RD
	SHUT_WR   = unix.SHUT_WR
	SHUT_RDWR = unix.SHUT_RDWR

	MSG_DONTWAIT  = unix.MSG_DONTWAIT  // this call is non-blocking
	MSG_PEEK      = unix.MSG_PEEK      // receive and leave it there
	MSG_OOB       = unix.MSG_OOB       // the urgent byte of TCP
	MSG_WAITALL   = unix.MSG_WAITALL   // fill the buffer
	MSG_TRUNC     = unix.MSG_TRUNC     // the datagram was longer
	MSG_CTRUNC    = unix.MSG_CTRUNC    // the control data was longer
	MSG_DONTROUTE = unix.MSG_DONTROUTE // past the gateways
	MSG_EOR       = unix.MSG_EOR       // end of a record
	MSG_NOSIGNAL  = unix.MSG_NOSIGNAL  // always so here: no SIGPIPE

	SOL_SOCKET   = unix.SOL_SOCKET
	IPPROTO_IP   = unix.IPPROTO_IP
	IPPROTO_IPV6 = unix.IPPROTO_IPV6
	IPPROTO_TCP  = unix.IPPROTO_TCP
	IPPROTO_UDP  = unix.IPPROTO_UDP

	SO_ACCEPTCONN = unix.SO_ACCEPTCONN
	SO_BROADCAST  = unix.SO_BROADCAST
	SO_DONTROUTE  = unix.SO_DONTROUTE
	SO_ERROR      = unix.SO_ERROR
	SO_KEEPALIVE  = unix.SO_KEEPALIVE
	SO_LINGER     = unix.SO_LINGER
	SO_OOBINLINE  = unix.SO_OOBINLINE
	SO_RCVBUF     = unix.SO_RCVBUF
	SO_RCVLOWAT   = unix.SO_RCVLOWAT
	SO_RCVTIMEO   = unix.SO_RCVTIMEO // see Socket.SetTimeout
	SO_REUSEADDR  = unix.SO_REUSEADDR
	SO_REUSEPORT  = unix.SO_REUSEPORT
	SO_SNDBUF     = unix.SO_SNDBUF
	SO_SNDLOWAT   = unix.SO_SNDLOWAT
	SO_SNDTIMEO   = unix.SO_SNDTIMEO // see Socket.SetTimeout
	SO_TIMESTAMP  = unix.SO_TIMESTAMP
	SO_TYPE       = unix.SO_TYPE

	TCP_MAXSEG  = unix.TCP_MAXSEG
	TCP_NODELAY = unix.TCP_NODELAY

	IP_ADD_MEMBERSHIP  = unix.IP_ADD_MEMBERSHIP
	IP_DROP_MEMBERSHIP = unix.IP_DROP_MEMBERSHIP
	IP_HDRINCL         = unix.IP_HDRINCL
	IP_MULTICAST_IF    = unix.IP_MULTICAST_IF
	IP_MULTICAST_LOOP  = unix.IP_MULTICAST_LOOP
	IP_MULTICAST_TTL   = unix.IP_MULTICAST_TTL
	IP_OPTIONS         = unix.IP_OPTIONS
	IP_RECVTTL         = unix.IP_RECVTTL
	IP_TOS             = unix.IP_TOS
	IP_TTL             = unix.IP_TTL

	IPV6_CHECKSUM       = unix.IPV6_CHECKSUM
	IPV6_DONTFRAG       = unix.IPV6_DONTFRAG
	IPV6_HOPLIMIT       = unix.IPV6_HOPLIMIT
	IPV6_JOIN_GROUP     = unix.IPV6_JOIN_GROUP
	IPV6_LEAVE_GROUP    = unix.IPV6_LEAVE_GROUP
	IPV6_MULTICAST_HOPS = unix.IPV6_MULTICAST_HOPS
	IPV6_MULTICAST_IF   = unix.IPV6_MULTICAST_IF
	IPV6_MULTICAST_LOOP = unix.IPV6_MULTICAST_LOOP
	IPV6_PKTINFO        = unix.IPV6_PKTINFO
	IPV6_RECVHOPLIMIT   = unix.IPV6_RECVHOPLIMIT
	IPV6_RECVPKTINFO    = unix.IPV6_RECVPKTINFO
	IPV6_RECVTCLASS     = unix.IPV6_RECVTCLASS
	IPV6_TCLASS         = unix.IPV6_TCLASS
	IPV6_UNICAST_HOPS   = unix.IPV6_UNICAST_HOPS
	IPV6_V6ONLY         = unix.IPV6_V6ONLY

	SCM_TIMESTAMP = unix.SCM_TIMESTAMP
	SCM_RIGHTS    = unix.SCM_RIGHTS
	SOMAXCONN     = unix.SOMAXCONN
)
