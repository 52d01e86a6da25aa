package socket

// Numbers of protocols, for New and GetAddrInfo; the same everywhere (IANA, Assigned Internet Protocol Numbers).
const (
	IPPROTO_ICMP    = 1
	IPPROTO_IGMP    = 2
	IPPROTO_DCCP    = 33
	IPPROTO_ICMPV6  = 58
	IPPROTO_SCTP    = 132
	IPPROTO_UDPLITE = 136
	IPPROTO_RAW     = 255 // the caller writes the IP header: see IP_HDRINCL
)
