package socket

// The constants of the Berkeley calls, with the numbers of winsock2.h. SO_REUSEPORT and SCM_RIGHTS do not exist there.
const (
	AF_UNSPEC = 0
	AF_UNIX   = 1
	AF_INET   = 2
	AF_INET6  = 23

	SOCK_STREAM    = 1
	SOCK_DGRAM     = 2
	SOCK_SEQPACKET = 5
	SOCK_RAW       = 3

	SHUT_RD   = 0
	SHUT_WR   = 1
	SHUT_RDWR = 2

	MSG_PEEK      = 0x2
	MSG_OOB       = 0x1
	MSG_WAITALL   = 0x8
	MSG_TRUNC     = 0x100
	MSG_CTRUNC    = 0x200
	MSG_DONTROUTE = 0x4
	MSG_EOR       = 0

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

	TCP_MAXSEG  = 4
	TCP_NODELAY = 1

	IP_ADD_MEMBERSHIP = 12
	IP_MULTICAST_LOOP = 11
	IP_MULTICAST_TTL  = 10
	IP_TOS            = 3
	IP_TTL            = 4
	IPV6_UNICAST_HOPS = 4
	IPV6_V6ONLY       = 27

	SCM_RIGHTS = 1
	SOMAXCONN  = 0x7fffffff
)
