package proxyproto

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func tcp(s string) *net.TCPAddr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

// bin makes a header of version 2 from its parts.
func bin(command, family byte, body string) string {
	return signature + string([]byte{command, family, byte(len(body) >> 8), byte(len(body))}) + body
}

const (
	ends4 = "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"
	id    = "\x05\x00\x02ab"
)

func TestParseReadsWhatProxiesSend(t *testing.T) {
	six := strings.Repeat("\x20", 16) + strings.Repeat("\x21", 16) + "\x00\x01\x00\x02"
	for text, want := range map[string]Header{
		"PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n":           {Version: 1, Source: tcp("1.2.3.4:80"), Destination: tcp("5.6.7.8:443")},
		"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n":          {Version: 1, Source: tcp("[2001:db8::1]:65535"), Destination: tcp("[::1]:0")},
		"PROXY UNKNOWN\r\n":                               {Version: 1, Local: true},
		"PROXY UNKNOWN ffff:f...f:ffff x 65535 65535\r\n": {Version: 1, Local: true},

		bin(proxied, tcp4, ends4): {Version: 2, Source: tcp("1.2.3.4:80"), Destination: tcp("5.6.7.8:443")},
		bin(proxied, tcp4, ends4+id+"\x04\x00\x00"): {Version: 2, Source: tcp("1.2.3.4:80"), Destination: tcp("5.6.7.8:443"),
			Fields: []Field{{UniqueID, []byte("ab")}, {NoOp, []byte{}}}},
		bin(proxied, tcp6, six): {Version: 2, Source: tcp("[2020:2020:2020:2020:2020:2020:2020:2020]:1"),
			Destination: tcp("[2121:2121:2121:2121:2121:2121:2121:2121]:2")},
		bin(proxied, udp4, ends4): {Version: 2, Source: net.UDPAddrFromAddrPort(tcp("1.2.3.4:80").AddrPort()),
			Destination: net.UDPAddrFromAddrPort(tcp("5.6.7.8:443").AddrPort())},
		bin(proxied, unixStream, "/run/a"+strings.Repeat("\x00", 102)+"\x00abs"+strings.Repeat("\x00", 104)): {Version: 2,
			Source: &net.UnixAddr{Name: "/run/a", Net: "unix"}, Destination: &net.UnixAddr{Name: "@abs", Net: "unix"}},
		bin(proxied, 0, id):             {Version: 2, Fields: []Field{{UniqueID, []byte("ab")}}},
		bin(local, 0, ""):               {Version: 2, Local: true},
		bin(local, 0xff, "whatever it"): {Version: 2, Local: true},
	} {
		h, n, err := Parse([]byte(text + "rest"))
		if err != nil || n != len(text) || !reflect.DeepEqual(*h, want) {
			t.Errorf("%q: %+v, %d bytes, %v", text, h, n, err)
		}
		for i := range len(text) {
			if _, _, err := Parse([]byte(text[:i])); err != io.ErrUnexpectedEOF {
				t.Errorf("%q: %v", text[:i], err)
			}
		}
	}
}

func TestParseRefusesWhatNoProxySends(t *testing.T) {
	for text, want := range map[string]error{
		"GET / HTTP/1.1\r\n": ErrNoHeader,
		"\x16\x03\x01":       ErrNoHeader,
		"PROXZ":              ErrNoHeader,
		"\r\n\r\nx":          ErrNoHeader,
		"PROXY TCP4 1.2.3.4 5.6.7.8 80 65536\r\n":                ErrMalformed,
		"PROXY TCP4 1.2.3.4 5.6.7.8 80 0443\r\n":                 ErrMalformed,
		"PROXY TCP4 1.2.3.4 5.6.7.8 80 +443\r\n":                 ErrMalformed,
		"PROXY TCP4 1.2.3.4 5.6.7.8 80\r\n":                      ErrMalformed,
		"PROXY TCP4 1.2.3.4 5.6.7.8 80 443 \r\n":                 ErrMalformed,
		"PROXY TCP4  1.2.3.4 5.6.7.8 80 443\r\n":                 ErrMalformed,
		"PROXY TCP4 ::1 5.6.7.8 80 443\r\n":                      ErrMalformed,
		"PROXY TCP6 1.2.3.4 5.6.7.8 80 443\r\n":                  ErrMalformed,
		"PROXY TCP6 fe80::1%eth0 ::1 80 443\r\n":                 ErrMalformed,
		"PROXY UDP4 1.2.3.4 5.6.7.8 80 443\r\n":                  ErrMalformed,
		"PROXY \r\n":                                             ErrMalformed,
		"PROXY UNKNOWN " + strings.Repeat("x", 100):              ErrMalformed,
		signature + "\x11":                                       ErrMalformed,
		signature + "\x22\x11\x00\x00":                           ErrMalformed,
		signature + "\x21\x11\xff\xff":                           ErrMalformed,
		bin(proxied, tcp4, ends4[:11]):                           ErrMalformed,
		bin(proxied, 0x13, ends4):                                ErrMalformed,
		bin(proxied, unixStream, "/run/a"):                       ErrMalformed,
		bin(proxied, tcp4, ends4+"\x05\x00"):                     ErrMalformed,
		bin(proxied, tcp4, ends4+"\x05\x00\x03ab"):               ErrMalformed,
		bin(proxied, tcp4, ends4+"\x20\x00\x01\x01"):             ErrMalformed,
		bin(proxied, tcp4, ends4+"\x03\x00\x04abcd"):             ErrMalformed,
		bin(proxied, tcp4, ends4+"\x03\x00\x03abc"):              ErrMalformed,
		bin(proxied, 0, "\x05\x00\x81"+strings.Repeat("x", 129)): ErrMalformed,
		bin(proxied, 0, "\x20\x00\x06\x01\x00\x00\x00\x00\x21"):  ErrMalformed,
	} {
		if h, _, err := Parse([]byte(text)); !errors.Is(err, want) || err == io.ErrUnexpectedEOF {
			t.Errorf("%q: %+v, %v", text, h, err)
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	long := strings.Repeat("x", 109)
	for _, h := range []Header{
		{Version: 3},
		{},
		{Version: 2, Source: &net.UnixAddr{Name: long, Net: "unix"}, Destination: &net.UnixAddr{Net: "unix"}},
		{Version: 2, Fields: []Field{{UniqueID, make([]byte, 70000)}}},
		{Version: 2, Fields: []Field{{0xe0, make([]byte, 4000)}, {0xe1, make([]byte, 4000)}}},
		{Version: 2, Fields: []Field{{CRC32C, nil}, {CRC32C, nil}}},
	} {
		if b, err := h.Append([]byte("before")); err == nil || string(b) != "before" {
			t.Errorf("%+v: %q, %v", h, b, err)
		}
	}
}

func TestAppendMapsMixedFamilies(t *testing.T) {
	h := Header{Version: 1, Source: tcp("1.2.3.4:5"), Destination: tcp("[::1]:6")}
	if b, err := h.Append(nil); err != nil || string(b) != "PROXY TCP6 ::ffff:1.2.3.4 ::1 5 6\r\n" {
		t.Errorf("%q, %v", b, err)
	}
	h.Destination = tcp("[::ffff:1.2.3.5]:6")
	if b, err := h.Append(nil); err != nil || string(b) != "PROXY TCP4 1.2.3.4 1.2.3.5 5 6\r\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAChangedByteDoesNotPassTheChecksum(t *testing.T) {
	h := Header{Version: 2, Source: tcp("1.2.3.4:5"), Destination: tcp("1.2.3.5:6"),
		Fields: []Field{{UniqueID, []byte("abc")}, {CRC32C, nil}, {Authority, []byte("a.example")}}}
	b, err := h.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Parse(b); err != nil {
		t.Fatal(err)
	}
	for i := fixed; i < len(b); i++ {
		changed := bytes.Clone(b)
		changed[i] ^= 1
		if got, _, err := Parse(changed); err == nil && got.Get(CRC32C) != nil {
			t.Errorf("byte %d of %q", i, changed)
		}
	}
}

// FuzzParse: what Parse takes, Append writes so that Parse reads the same, and no byte behind the header changes anything.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\nrest", "PROXY UNKNOWN\r\n", bin(local, 0, ""), bin(proxied, tcp4, ends4+id),
		bin(proxied, 0, "\x20\x00\x0b\x01\x00\x00\x00\x00\x21\x00\x03abc"), bin(proxied, unixStream, "/a"+strings.Repeat("\x00", 214))} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, n, err := Parse(p)
		if err != nil {
			if h != nil || n != 0 {
				t.Fatalf("%+v, %d bytes, %v", h, n, err)
			}
			return
		}
		if n < 8 || n > len(p) || n > MaxHeader {
			t.Fatalf("%d bytes", n)
		}
		if again, m, err := Parse(append(bytes.Clone(p[:n]), "x"...)); err != nil || m != n || !reflect.DeepEqual(h, again) {
			t.Fatalf("%+v, then %+v, %v", h, again, err)
		}
		h.TLS()
		written, err := h.Append(nil)
		if err != nil { // two checksums
			return
		}
		again, _, err := Parse(written)
		if err != nil {
			t.Fatalf("%+v: %q: %v", h, written, err)
		}
		if len(h.Fields) != len(again.Fields) || h.Local != again.Local {
			t.Fatalf("%+v, and written %+v", h, again)
		}
		if a, ok := h.Source.(*net.TCPAddr); ok {
			if b, ok := again.Source.(*net.TCPAddr); !ok || a.AddrPort().Addr().Unmap() != b.AddrPort().Addr().Unmap() || a.Port != b.Port {
				t.Fatalf("%v, and written %v", h.Source, again.Source)
			}
		}
	})
}
