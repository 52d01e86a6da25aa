package socket

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

func FuzzSockaddr(f *testing.F) {
	seeds := []Addr{VsockAddr(2, 1024), NetlinkAddr(1, 2), PacketAddr(Packet{Interface: 1, Protocol: ETH_P_IP, HardwareAddr: []byte("1234567")})}
	for _, text := range []string{"127.0.0.1:7", "[::1]:7", "[fe80::1%1]:7", "/tmp/s", "@name", "@"} {
		a, err := ParseAddr(text)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, a)
	}
	for _, a := range seeds {
		var sa sockaddr
		if err := sa.encode(a); err != nil {
			f.Fatal(err)
		}
		f.Add(sa.raw[:sa.len], sa.len)
	}
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{1, 0}, uint32(2))
	f.Add(bytes.Repeat([]byte{1, 0}, 60), uint32(200))
	f.Fuzz(func(t *testing.T, raw []byte, size uint32) {
		sa := sockaddr{len: size}
		copy(sa.raw[:], raw)
		a, err := sa.decode()
		if err != nil || !a.IsValid() {
			return
		}
		if a.unfit(a.Family()) != nil {
			// A path of the kernel's may be one byte longer than what can be given to it, or get "./" in front.
			return
		}
		var again sockaddr
		if err := again.encode(a); err != nil {
			t.Fatalf("%v cannot be written: %v", a, err)
		}
		back, err := again.decode()
		if err != nil || back != a {
			t.Errorf("%+v came back as %+v, %v", a, back, err)
		}
		if text := a.String(); a.Path() == "" && !a.AddrPort().IsValid() {
			if text == "" && len(raw) > unix.SizeofSockaddrLinklayer && size > unix.SizeofSockaddrLinklayer {
				t.Errorf("%+v has no text", a)
			}
			return
		}
		if read, err := ParseAddr(a.String()); err != nil || read != a.WithFlowInfo(0) {
			t.Errorf("%+v is written %q and read as %+v, %v", a, a.String(), read, err)
		}
	})
}
