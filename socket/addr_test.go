package socket

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestAddressesReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		text   string
		family int
		port   int
		path   string
	}{
		{"127.0.0.1:7", AF_INET, 7, ""},
		{"0.0.0.0:0", AF_INET, 0, ""},
		{"255.255.255.255:65535", AF_INET, 65535, ""},
		{"[::1]:7", AF_INET6, 7, ""},
		{"[::]:0", AF_INET6, 0, ""},
		{"[::ffff:1.2.3.4]:80", AF_INET6, 80, ""},
		{"[fe80::1%eth0]:7", AF_INET6, 7, ""},
		{"[fe80::1%3]:7", AF_INET6, 7, ""},
		{"/tmp/s.sock", AF_UNIX, 0, "/tmp/s.sock"},
		{"/tmp/a:80", AF_UNIX, 0, "/tmp/a:80"},
		{"./s.sock", AF_UNIX, 0, "./s.sock"},
		{"../s.sock", AF_UNIX, 0, "../s.sock"},
		{"@name", AF_UNIX, 0, "@name"},
		{"@", AF_UNIX, 0, "@"},
	} {
		a, err := ParseAddr(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if a.Family() != c.family || a.Port() != c.port || a.Path() != c.path || a.String() != c.text {
			t.Errorf("%s: family %d, port %d, path %q, text %q", c.text, a.Family(), a.Port(), a.Path(), a)
		}
	}
}

func TestBadAddressSaysWhatIsWrong(t *testing.T) {
	for text, why := range map[string]string{
		"":                               "the address is empty",
		"127.0.0.1":                      "no port",
		"localhost":                      "no port",
		"127.0.0.1:70000":                "port 70000 is over 65535",
		"127.0.0.1:99999999999999999999": "is over 65535",
		"127.0.0.1:http":                 `port "http" is not a number`,
		"127.0.0.1:-1":                   `port "-1" is not a number`,
		"127.0.0.1:":                     `port "" is not a number`,
		"::1:7":                          "goes in brackets: [::1]:7",
		"localhost:7":                    `"localhost" is not an IP address`,
		"127.0.0.1.5:7":                  `"127.0.0.1.5" is not an IP address`,
		"[::1":                           "is not an IP address",
		"/tmp/a\x00b":                    "a zero byte",
	} {
		_, err := ParseAddr(text)
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		if !strings.Contains(err.Error(), why) || !strings.HasPrefix(err.Error(), "parse") {
			t.Errorf("%q: %v, want %s", text, err, why)
		}
		if e := new(Error); !errors.As(err, &e) || e.Addr != text || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %#v", text, err)
		}
	}
}

func TestRelativePathsCannotBeMistaken(t *testing.T) {
	for path, want := range map[string]string{
		"s.sock":       "./s.sock",
		"run/s.sock":   "./run/s.sock",
		"127.0.0.1:80": "./127.0.0.1:80",
		"\x00name":     "@name",
		"@name":        "@name",
		"/@name":       "/@name",
	} {
		a := UnixAddr(path)
		if a.Path() != want {
			t.Errorf("%q: %q", path, a.Path())
		}
		if back, err := ParseAddr(a.String()); err != nil || back != a {
			t.Errorf("%q: back as %v, %v", path, back, err)
		}
	}
}

func TestAddrIsAValue(t *testing.T) {
	a := InetAddr(netip.MustParseAddrPort("10.0.0.1:80"))
	b, _ := ParseAddr("10.0.0.1:80")
	if a != b || map[Addr]int{a: 1}[b] != 1 {
		t.Error("equal addresses differ")
	}
	var zero Addr
	if zero.IsValid() || zero.String() != "" || zero.Family() != AF_UNSPEC || zero.AddrPort().IsValid() {
		t.Error("the zero Addr is something")
	}
	if a := InetAddr(netip.AddrPort{}); a != zero {
		t.Error("an address from nothing:", a)
	}
	if a := UnixAddr(""); !a.IsValid() || a.String() != "(unnamed)" || a.Network() != "unix" {
		t.Error("the unnamed address:", a)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"127.0.0.1:7", "[::1]:7", "[fe80::1%eth0]:7", "/a", "./a", "a/b", "@a", "x:1", "[::1%/]:7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddr(s)
		if err != nil {
			if a != (Addr{}) {
				t.Errorf("%q: an address and an error", s)
			}
			return
		}
		back, err := ParseAddr(a.String())
		if err != nil || back != a {
			t.Errorf("%q is %+v, which is written %q and read as %+v, %v", s, a, a.String(), back, err)
		}
	})
}
