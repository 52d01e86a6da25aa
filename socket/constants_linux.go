package socket

import "golang.org/x/sys/unix"

// Constants that Linux has, and not every other system: socket(7), ip(7), ipv6(7), tcp(7), udp(7), vsock(7), netlink(7),
// packet(7).
const (
	SOCK_NONBLOCK = unix.SOCK_NONBLOCK // with a type: in non-blocking mode
	SOCK_CLOEXEC  = unix.SOCK_CLOEXEC  // with a type: not inherited, as every socket of this package
	SOCK_RDM      = unix.SOCK_RDM      // reliable datagrams
	SOCK_DCCP     = unix.SOCK_DCCP

	MSG_MORE         = unix.MSG_MORE         // more follows: wait with a packet that is not full
	MSG_ERRQUEUE     = unix.MSG_ERRQUEUE     // receive from the queue of errors; never waits
	MSG_CMSG_CLOEXEC = unix.MSG_CMSG_CLOEXEC // always set here
	MSG_CONFIRM      = unix.MSG_CONFIRM
	MSG_FASTOPEN     = unix.MSG_FASTOPEN
	MSG_ZEROCOPY     = unix.MSG_ZEROCOPY

	SO_BINDTODEVICE = unix.SO_BINDTODEVICE // the name of an interface, with SetOptionBytes
	SO_BUSY_POLL    = unix.SO_BUSY_POLL
	SO_DOMAIN       = unix.SO_DOMAIN
	SO_INCOMING_CPU = unix.SO_INCOMING_CPU
	SO_MARK         = unix.SO_MARK
	SO_PASSCRED     = unix.SO_PASSCRED
	SO_PEERCRED     = unix.SO_PEERCRED
	SO_PRIORITY     = unix.SO_PRIORITY
	SO_PROTOCOL     = unix.SO_PROTOCOL
	SO_TIMESTAMPING = unix.SO_TIMESTAMPING
	SO_TIMESTAMPNS  = unix.SO_TIMESTAMPNS
	SO_ZEROCOPY     = unix.SO_ZEROCOPY
	SCM_CREDENTIALS = unix.SCM_CREDENTIALS

	TCP_CONGESTION       = unix.TCP_CONGESTION
	TCP_CORK             = unix.TCP_CORK
	TCP_DEFER_ACCEPT     = unix.TCP_DEFER_ACCEPT
	TCP_FASTOPEN         = unix.TCP_FASTOPEN
	TCP_FASTOPEN_CONNECT = unix.TCP_FASTOPEN_CONNECT
	TCP_INFO             = unix.TCP_INFO // see Socket.TCPInfo
	TCP_KEEPCNT          = unix.TCP_KEEPCNT
	TCP_KEEPIDLE         = unix.TCP_KEEPIDLE
	TCP_KEEPINTVL        = unix.TCP_KEEPINTVL
	TCP_LINGER2          = unix.TCP_LINGER2
	TCP_NOTSENT_LOWAT    = unix.TCP_NOTSENT_LOWAT
	TCP_QUICKACK         = unix.TCP_QUICKACK
	TCP_SYNCNT           = unix.TCP_SYNCNT
	TCP_USER_TIMEOUT     = unix.TCP_USER_TIMEOUT
	TCP_WINDOW_CLAMP     = unix.TCP_WINDOW_CLAMP

	UDP_SEGMENT = unix.UDP_SEGMENT // see Datagram
	UDP_GRO     = unix.UDP_GRO     // see Socket.SetGRO

	IP_BIND_ADDRESS_NO_PORT   = unix.IP_BIND_ADDRESS_NO_PORT
	IP_FREEBIND               = unix.IP_FREEBIND
	IP_MTU                    = unix.IP_MTU
	IP_MTU_DISCOVER           = unix.IP_MTU_DISCOVER
	IP_MULTICAST_ALL          = unix.IP_MULTICAST_ALL
	IP_PKTINFO                = unix.IP_PKTINFO
	IP_RECVERR                = unix.IP_RECVERR
	IP_RECVTOS                = unix.IP_RECVTOS
	IP_TRANSPARENT            = unix.IP_TRANSPARENT
	IP_ADD_SOURCE_MEMBERSHIP  = unix.IP_ADD_SOURCE_MEMBERSHIP
	IP_DROP_SOURCE_MEMBERSHIP = unix.IP_DROP_SOURCE_MEMBERSHIP
	IP_BLOCK_SOURCE           = unix.IP_BLOCK_SOURCE
	IP_UNBLOCK_SOURCE         = unix.IP_UNBLOCK_SOURCE
	IP_MSFILTER               = unix.IP_MSFILTER

	IPV6_MULTICAST_ALL = unix.IPV6_MULTICAST_ALL
	IPV6_RECVERR       = unix.IPV6_RECVERR

	ICMP_FILTER   = unix.ICMP_FILTER   // at the level SOL_RAW
	ICMPV6_FILTER = unix.ICMPV6_FILTER // at the level IPPROTO_ICMPV6
	SOL_RAW       = unix.SOL_RAW

	AF_VSOCK   = unix.AF_VSOCK   // between a virtual machine and its host: VsockAddr
	AF_NETLINK = unix.AF_NETLINK // messages with the kernel: NetlinkAddr
	AF_PACKET  = unix.AF_PACKET  // whole packets of an interface: PacketAddr

	VMADDR_CID_ANY        = unix.VMADDR_CID_ANY // bind to every
	VMADDR_CID_HYPERVISOR = unix.VMADDR_CID_HYPERVISOR
	VMADDR_CID_LOCAL      = unix.VMADDR_CID_LOCAL // this machine itself
	VMADDR_CID_HOST       = unix.VMADDR_CID_HOST
	VMADDR_PORT_ANY       = unix.VMADDR_PORT_ANY // bind to one that the system chooses

	NETLINK_ROUTE          = unix.NETLINK_ROUTE
	NETLINK_GENERIC        = unix.NETLINK_GENERIC
	NETLINK_KOBJECT_UEVENT = unix.NETLINK_KOBJECT_UEVENT
	NETLINK_SOCK_DIAG      = unix.NETLINK_SOCK_DIAG

	ETH_P_ALL  = unix.ETH_P_ALL // every protocol
	ETH_P_ARP  = unix.ETH_P_ARP
	ETH_P_IP   = unix.ETH_P_IP
	ETH_P_IPV6 = unix.ETH_P_IPV6

	PACKET_HOST      = unix.PACKET_HOST // to this machine
	PACKET_BROADCAST = unix.PACKET_BROADCAST
	PACKET_MULTICAST = unix.PACKET_MULTICAST
	PACKET_OTHERHOST = unix.PACKET_OTHERHOST // to another
	PACKET_OUTGOING  = unix.PACKET_OUTGOING  // from this one

	// linux/in6.h; golang.org/x/sys does not have them.
	IPV6_FLOWINFO      = 11 // receive flow info: Addr.FlowInfo
	IPV6_FLOWINFO_SEND = 33 // send that of the Addr to which the socket is connected

	MCAST_BLOCK_SOURCE       = unix.MCAST_BLOCK_SOURCE
	MCAST_JOIN_GROUP         = unix.MCAST_JOIN_GROUP
	MCAST_JOIN_SOURCE_GROUP  = unix.MCAST_JOIN_SOURCE_GROUP
	MCAST_LEAVE_GROUP        = unix.MCAST_LEAVE_GROUP
	MCAST_LEAVE_SOURCE_GROUP = unix.MCAST_LEAVE_SOURCE_GROUP
	MCAST_UNBLOCK_SOURCE     = unix.MCAST_UNBLOCK_SOURCE
)
