package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

func networks(t *testing.T, items ...string) *List {
	t.Helper()
	l, err := ParseList(items...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAListHasItsNetworks(t *testing.T) {
	l := networks(t, "10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::ffff:198.51.100.0/120", "0.0.0.0/32")
	for ip, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "192.0.2.1": true, "192.0.2.2": false, "2001:db8:1::1": true, "2001:db9::": false,
		"::ffff:10.1.1.1": true, "198.51.100.255": true, "198.51.101.0": false, "0.0.0.0": true, "::": false,
	} {
		if got := l.Contains(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	if (*List)(nil).Contains(netip.MustParseAddr("10.0.0.1")) {
		t.Error("no list has something")
	}
	if all := networks(t, "0.0.0.0/0", "::/0"); !all.Contains(netip.MustParseAddr("1.2.3.4")) || !all.Contains(netip.MustParseAddr("::1")) {
		t.Error("everything has not everything")
	}
	both := Merge(l, nil, networks(t, "203.0.113.0/24"))
	if !both.Contains(netip.MustParseAddr("203.0.113.9")) || len(both.Prefixes()) != 6 {
		t.Errorf("merged: %v", both.Prefixes())
	}
}

func TestSlipsInListsAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1/8":   "did you mean 10.0.0.0/8, or 10.0.0.1 alone?",
		"10.0.0":       "neither an address nor a network",
		"10.0.0.0/33":  "no network",
		"fe80::1%eth0": "neither", "example.org": "neither", "": "neither", "::ffff:0.0.0.0/90": "shorter than 96",
	} {
		if _, err := ParseList(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	l, err := ReadList("deny.txt", strings.NewReader("# bad ones\n\n10.0.0.0/8 # all of them\n\t192.0.2.1\n"))
	if err != nil || len(l.Prefixes()) != 2 {
		t.Errorf("%v, %v", l.Prefixes(), err)
	}
	if _, err := ReadList("deny.txt", strings.NewReader("10.0.0.0/8\n\n10.0.0.0/8 x\n")); err == nil || !strings.HasPrefix(err.Error(), "deny.txt:3: ") {
		t.Error(err)
	}
	if _, err := ReadList("deny.txt", strings.NewReader(strings.Repeat("1", 100_000))); err == nil || !strings.HasPrefix(err.Error(), "deny.txt:1: access: a line of more than 65536 bytes") {
		t.Error(err)
	}
}

// A clock that the test sets.
type clock struct{ time.Time }

func (c *clock) passes(d time.Duration) { c.Time = c.Add(d) }

func limiter(r Rules) (*Limiter, *clock) {
	l, c := New(r), &clock{time.Unix(1e9, 0)}
	l.now = func() time.Time { return c.Time }
	return l, c
}

func (l *Limiter) mustAdmit(t *testing.T, ip string, want error) *client {
	t.Helper()
	who, err := l.admit(netip.MustParseAddr(ip))
	if err != want {
		t.Fatalf("%s: %v, want %v", ip, err, want)
	}
	return who
}

func TestAnAddressOpensConnectionsAtItsRate(t *testing.T) {
	l, c := limiter(Rules{Rate: 2, Burst: 3, Exempt: networks(t, "10.0.0.0/8")})
	for range 3 {
		l.mustAdmit(t, "192.0.2.1", nil)
	}
	l.mustAdmit(t, "192.0.2.1", ErrTooFast)
	l.mustAdmit(t, "192.0.2.2", nil)
	for range 100 {
		l.mustAdmit(t, "10.0.0.1", nil)
	}
	c.passes(499 * time.Millisecond)
	l.mustAdmit(t, "192.0.2.1", ErrTooFast)
	c.passes(time.Millisecond)
	l.mustAdmit(t, "192.0.2.1", nil) // what was refused cost nothing
	c.passes(time.Hour)
	for range 3 {
		l.mustAdmit(t, "192.0.2.1", nil)
	}
	l.mustAdmit(t, "192.0.2.1", ErrTooFast)
	c.passes(-time.Hour) // the clock is set back
	l.mustAdmit(t, "192.0.2.1", ErrTooFast)
	slow, c := limiter(Rules{Rate: 0.1})
	slow.mustAdmit(t, "192.0.2.1", nil)
	slow.mustAdmit(t, "192.0.2.1", ErrTooFast)
	c.passes(10 * time.Second)
	slow.mustAdmit(t, "192.0.2.1", nil)
}

func TestIPv6CountsByItsNetworkOf64(t *testing.T) {
	l, _ := limiter(Rules{PerAddress: 2})
	one := l.mustAdmit(t, "2001:db8:0:1::1", nil)
	l.mustAdmit(t, "2001:db8:0:1:ffff::2", nil)
	l.mustAdmit(t, "2001:db8:0:1::3", ErrTooMany)
	l.mustAdmit(t, "2001:db8:0:2::1", nil)
	l.leave(one)
	l.mustAdmit(t, "2001:db8:0:1::3", nil)
}

// However many addresses come, what is remembered is bounded; and nobody is forgotten who has connections.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	for _, perAddress := range []int{0, 1} {
		l, _ := limiter(Rules{Rate: 1, Burst: 1, PerAddress: perAddress, Remembered: 1000})
		var stays *client
		if perAddress > 0 {
			stays = l.mustAdmit(t, "192.0.2.1", nil)
		}
		for i := range 50_000 {
			who := l.mustAdmit(t, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), nil)
			if who != nil {
				l.leave(who)
			}
		}
		if n := len(l.known); n > 1001 || l.resting.Len() > 1000 {
			t.Errorf("%d clients are known, %d rest", n, l.resting.Len())
		}
		l.mustAdmit(t, "10.0.195.79", ErrTooFast) // the last one
		if stays != nil {
			l.mustAdmit(t, "192.0.2.1", ErrTooMany)
			l.leave(stays)
		}
	}
	l, _ := limiter(Rules{PerAddress: 1}) // without a rate nobody needs to be remembered
	l.leave(l.mustAdmit(t, "192.0.2.1", nil))
	if len(l.known) != 0 {
		t.Errorf("%d clients are known", len(l.known))
	}
}

// A burst of a new rule holds for old clients, and a limit that goes leaves nothing behind.
func TestRulesCanBeReplaced(t *testing.T) {
	l, _ := limiter(Rules{PerAddress: 2, Rate: 100})
	one, two := l.mustAdmit(t, "192.0.2.1", nil), l.mustAdmit(t, "192.0.2.1", nil)
	l.Set(Rules{Deny: networks(t, "192.0.2.0/24")})
	l.mustAdmit(t, "192.0.2.1", ErrDenied)
	l.Set(Rules{Allow: networks(t, "192.0.2.0/24"), Deny: networks(t, "192.0.2.9")})
	l.mustAdmit(t, "192.0.2.1", nil)
	l.mustAdmit(t, "192.0.2.9", ErrDenied)
	l.mustAdmit(t, "192.0.3.1", ErrDenied)
	l.leave(one)
	l.leave(two)
	if len(l.known) != 0 {
		t.Errorf("%d clients are known", len(l.known))
	}
}

func TestAServerKeepsToTheRules(t *testing.T) {
	l := New(Rules{PerAddress: 2})
	at := make(chan string, 1)
	s := &switchboard.Server{Loops: 2, Handler: switchboard.DataFunc((*switchboard.Conn).Write), Admission: []switchboard.Admitter{l},
		Listening: func(a net.Addr) { at <- a.String() }}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe("127.0.0.1:0") }()
	address := <-at
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s.Close()
		s.Shutdown(ctx)
		<-ended
		if len(l.known) != 0 || len(l.conns) != 0 {
			t.Errorf("%d clients and %d connections are left", len(l.known), len(l.conns))
		}
	}()
	try := func() (net.Conn, bool) {
		c, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNRESET) { // already
			return nil, false
		}
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err = io.WriteString(c, "x"); err == nil { // else it was told of the reset, and reading would not be
			if _, err = io.ReadFull(c, make([]byte, 1)); errors.Is(err, io.EOF) {
				t.Error("who is refused saw an end in order")
			}
		}
		if err != nil {
			c.Close()
		}
		return c, err == nil
	}
	one, ok1 := try()
	two, ok2 := try()
	if _, ok := try(); !ok1 || !ok2 || ok {
		t.Fatalf("served: %v, %v and %v", ok1, ok2, ok)
	}
	defer two.Close()
	one.Close()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if c, ok := try(); ok {
			c.Close()
			break
		} else if time.Now().After(limit) {
			t.Fatal("the place is not given back")
		}
	}
	l.Set(Rules{Deny: networks(t, "127.0.0.0/8")})
	if _, ok := try(); ok {
		t.Error("who is denied was served")
	}
	if r := l.Refusals(); r.Denied != 1 || r.TooMany == 0 || r.TooFast != 0 {
		t.Errorf("%+v", r)
	}
}

func BenchmarkAdmit(b *testing.B) {
	l := New(Rules{PerAddress: 100, Rate: 1e9})
	ip := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		who, err := l.admit(ip)
		if err != nil {
			b.Fatal(err)
		}
		l.leave(who)
	}
}
