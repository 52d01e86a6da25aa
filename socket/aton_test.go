package socket

import (
	"net/netip"
	"testing"
)

func FuzzInetAton(f *testing.F) {
	for _, seed := range []string{"127.1", "0x7f.1", "017700000001", "1.2.3.4 foo", "", "0x", "1.2.65535", "4294967296", "08", "...", "1.2.3.4.5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := InetAton(text)
		// What is written without zeros in front is read by everybody alike.
		if ip, other := netip.ParseAddr(text); other == nil && ip.Is4() && (err != nil || netip.AddrFrom4([4]byte(p)) != ip) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
		if err != nil {
			return
		}
		back, err := InetNtoa(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := InetAton(back); err != nil || string(again) != string(p) {
			t.Errorf("%q: %v, again %v, %v", text, p, again, err)
		}
	})
}
