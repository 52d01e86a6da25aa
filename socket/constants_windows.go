package socket

// The constants of the Berkeley calls, with the numbers of winsock2.h. MSG_DONTWAIT, SO_REUSEPORT and
// SCM_RIGHTS do not exist there.
const (
	AF_UNSPEC = 0
	AF_UNIX   = 1
	AF_INET   = 2
	AF_INET6  = 23

	SOCK_STREAM    = 1
	SOCK_DGRAM     = 2
	SOCK_SEQPACKET = 5
	SOCK_RAW       = 3
	SOCK_RDM       = 4 // reliable datagrams

	SHUT_RD   = 0
	SHUT_WR   = 1
	SHUT_RDWR = 2

	MSG_DONTWAIT  = 0x80
	MSG_PEEK      = 0x2
	MSG_OOB       = 0x1
	MSG_WAITALL   = 0x8
	MSG_TRUNC     = 0x100
	MSG_CTRUNC    = 0x200
	MSG_DONTROUTE = 0x4
	MSG_EOR       = 0
	MSG_NOSIGNAL  = 0 // always so here: there is no SIGPIPE

	SOL_SOCKET   = 0xffff
	IPPROTO_IP   = 0
	IPPROTO_IPV6 = 41
	IPPROTO_TCP  = 6
	IPPROTO_UDP  = 17

	SO_ACCEPTCONN = 0x2
	SO_BROADCAST  = 0x20
	SO_DONTROUTE  = 0x10
	SO_ERROR      = 0x1007
	SO_KEEPALIVE  = 0x8
	SO_LINGER     = 0x80
	SO_OOBINLINE  = 0x100
	SO_RCVBUF     = 0x1002
	SO_RCVLOWAT   = 0x1004
	SO_REUSEADDR  = 0x4
	SO_REUSEPORT  = 0
	SO_SNDBUF     = 0x1001
	SO_SNDLOWAT   = 0x1003
	SO_TYPE       = 0x1008

	SO_EXCLUSIVEADDRUSE = -5 // nobody else may bind the port
	SO_USELOOPBACK      = 0x40

	TCP_FASTOPEN  = 15
	TCP_KEEPCNT   = 16
	TCP_KEEPIDLE  = 3
	TCP_KEEPINTVL = 17
	TCP_MAXSEG    = 4
	TCP_NODELAY   = 1

	IP_ADD_MEMBERSHIP         = 12
	IP_ADD_SOURCE_MEMBERSHIP  = 15
	IP_BLOCK_SOURCE           = 17
	IP_DROP_MEMBERSHIP        = 13
	IP_DROP_SOURCE_MEMBERSHIP = 16
	IP_HDRINCL                = 2
	IP_MTU                    = 73
	IP_MTU_DISCOVER           = 71
	IP_MULTICAST_IF           = 9
	IP_MULTICAST_LOOP         = 11
	IP_MULTICAST_TTL          = 10
	IP_OPTIONS                = 1
	IP_PKTINFO                = 19
	IP_RECVERR                = 75
	IP_RECVTOS                = 40
	IP_RECVTTL                = 21
	IP_TOS                    = 3
	IP_TTL                    = 4
	IP_UNBLOCK_SOURCE         = 18

	IPV6_CHECKSUM       = 26
	IPV6_DONTFRAG       = 14
	IPV6_HOPLIMIT       = 21
	IPV6_JOIN_GROUP     = 12
	IPV6_LEAVE_GROUP    = 13
	IPV6_MULTICAST_HOPS = 10
	IPV6_MULTICAST_IF   = 9
	IPV6_MULTICAST_LOOP = 11
	IPV6_PKTINFO        = 19
	IPV6_RECVERR        = 75
	IPV6_RECVTCLASS     = 40
	IPV6_TCLASS         = 39
	IPV6_UNICAST_HOPS   = 4
	IPV6_V6ONLY         = 27

	SCM_RIGHTS = 1
	SOMAXCONN  = 0x7fffffff

	MCAST_BLOCK_SOURCE       = 43
	MCAST_JOIN_GROUP         = 41
	MCAST_JOIN_SOURCE_GROUP  = 45
	MCAST_LEAVE_GROUP        = 42
	MCAST_LEAVE_SOURCE_GROUP = 46
	MCAST_UNBLOCK_SOURCE     = 44
)
