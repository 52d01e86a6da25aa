package socket

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestRequestsOfMulticastAreLaidOutAsInTheHeaders(t *testing.T) {
	at := func(b []byte, where string, want []byte) {
		t.Helper()
		i, ok := windowsLayout[where]
		if !ok || i+len(want) > len(b) || !bytes.Equal(b[i:i+len(want)], want) {
			t.Errorf("% x: at %s stands not % x", b, where, want)
		}
	}
	group, source := netip.MustParseAddr("232.1.2.3"), netip.MustParseAddr("10.9.0.2")
	b := sourceRequest(group, source, [4]byte{127, 0, 0, 1})
	if len(b) != windowsLayout["sizeof(IP_MREQ_SOURCE)"] {
		t.Error(len(b), "bytes")
	}
	at(b, "offsetof(IP_MREQ_SOURCE, imr_multiaddr)", group.AsSlice())
	at(b, "offsetof(IP_MREQ_SOURCE, imr_sourceaddr)", source.AsSlice())
	at(b, "offsetof(IP_MREQ_SOURCE, imr_interface)", []byte{127, 0, 0, 1})

	group, source = netip.MustParseAddr("ff35::1"), netip.MustParseAddr("fd09::2")
	b = groupRequest(group, source, 0x1234)
	if len(b) != windowsLayout["sizeof(GROUP_SOURCE_REQ)"] {
		t.Error(len(b), "bytes")
	}
	at(b, "offsetof(GROUP_SOURCE_REQ, gsr_interface)", []byte{0x34, 0x12, 0, 0})
	for where, ip := range map[string]netip.Addr{
		"offsetof(GROUP_SOURCE_REQ, gsr_group)":  group,
		"offsetof(GROUP_SOURCE_REQ, gsr_source)": source,
	} {
		sa := b[windowsLayout[where]:]
		at(sa, "offsetof(struct sockaddr_in6, sin6_family)", binary.LittleEndian.AppendUint16(nil, AF_INET6))
		at(sa, "offsetof(struct sockaddr_in6, sin6_addr)", ip.AsSlice())
		at(sa, "offsetof(struct sockaddr_in6, sin6_scope_id)", make([]byte, 4))
	}
}

func TestBindToAGroupSaysWhatToDo(t *testing.T) {
	err := &Error{Op: "bind", Addr: "239.1.2.3:7007", Err: syscall.EADDRNOTAVAIL}
	if !strings.Contains(err.Error(), "bind it to every address") {
		t.Error(err)
	}
}
