package switchboard

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

func TestDefaultsAreAsDocumented(t *testing.T) {
	l, err := (&Server{}).resolve()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want any }{
		"Loops":            {l.Loops, runtime.GOMAXPROCS(0)},
		"MaxConns":         {l.MaxConns, 0},
		"Handshakes":       {l.Handshakes, 1024},
		"HandshakeTimeout": {l.HandshakeTimeout, 10 * time.Second},
		"ReadBuffer":       {l.ReadBuffer, 65536},
		"InputLimit":       {l.InputLimit, 1048576},
		"HighWater":        {l.HighWater, 65536},
		"LowWater":         {l.LowWater, 16384},
		"QueueLimit":       {l.QueueLimit, 1048576},
		"IdleTimeout":      {l.IdleTimeout, time.Duration(0)},
		"MessageTimeout":   {l.MessageTimeout, time.Duration(0)},
		"HalfCloseTimeout": {l.HalfCloseTimeout, time.Duration(0)},
		"WriteTimeout":     {l.WriteTimeout, time.Minute},
		"LingerTimeout":    {l.LingerTimeout, 5 * time.Second},
		"DialTimeout":      {l.DialTimeout, 10 * time.Second},
		"SlowCall":         {l.SlowCall, 100 * time.Millisecond},
		"KeepAlive":        {l.KeepAlive, 15 * time.Second},
		"SampleCalls":      {l.SampleCalls, 0},
		"Engine":           {l.Engine, "auto"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v by default, and %v is documented", name, c.got, c.want)
		}
	}
	l, err = (&Server{HighWater: 1 << 20, InputLimit: 1000}).resolve()
	if err != nil || l.QueueLimit != 4<<20 || l.LowWater != 256<<10 || l.ReadBuffer != 1000 {
		t.Errorf("QueueLimit %d, LowWater %d, ReadBuffer %d: %v", l.QueueLimit, l.LowWater, l.ReadBuffer, err)
	}
}

func TestLimitsThatCannotBeAreRefused(t *testing.T) {
	for want, s := range map[string]*Server{
		"Loops":       {Loops: -1},
		"MaxConns":    {MaxConns: -1},
		"Handshakes":  {Handshakes: -1},
		"ReadBuffer":  {ReadBuffer: -1},
		"InputLimit":  {InputLimit: -1},
		"LowWater":    {LowWater: -1},
		"SampleCalls": {SampleCalls: -1},
		"MemoryLimit": {Loops: 2, MemoryLimit: 2<<20 - 1},
		"QueueLimit":  {QueueLimit: 1<<30 + 1},
		"must rise":   {LowWater: 100, HighWater: 100},
		"HighWater":   {HighWater: 2000, QueueLimit: 1999},
		"Engine":      {Engine: "steam"},
		"Admission":   {Admission: make([]Admitter, 1)},
	} {
		if _, err := s.resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, s := range []*Server{
		{Loops: 2, MemoryLimit: 2 << 20},
		{QueueLimit: 1 << 30},
		{LowWater: 99, HighWater: 100, QueueLimit: 100},
	} {
		if _, err := s.resolve(); err != nil {
			t.Error(err)
		}
	}
}

// What a connection can hold must not exceed what its weight can say, or memory would be held that nobody counts.
func TestWeightHoldsWhatAConnectionCan(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 20, 1<<20 + 1, 100 << 20, 1 << 30} {
		s := &Server{Loops: 1, MemoryLimit: 1 << 40, QueueLimit: size, HighWater: 1000, LowWater: 10, InputLimit: size}
		lim, err := s.resolve()
		if err != nil {
			t.Fatal(err)
		}
		b := newBudget(&loop{server: s, limits: &lim})
		if most := 2 * (int64(size) + 5*int64(size)) / b.unit; most > 1<<16 {
			t.Errorf("%d bytes: a connection can hold %d units", size, most)
		}
		if b.unit > 1<<10 && 2*(int64(size)+5*int64(size))/(b.unit/2) <= 1<<16 {
			t.Errorf("%d bytes: the unit of %d is coarser than it need be", size, b.unit)
		}
		if b.high() != 3<<38 || b.target() != 5<<37 {
			t.Errorf("the marks are %d and %d", b.high(), b.target())
		}
	}
}

func TestScopesOfAddresses(t *testing.T) {
	for zone, want := range map[string]int64{"1": 1, "4294967295": 1<<32 - 1, "4294967296": -1, "nosuchinterface": -1} {
		d := &dialing{}
		err := d.add(netip.MustParseAddr("fe80::1%"+zone), 7)
		switch {
		case want < 0 && err == nil:
			t.Errorf("%s: it is taken", zone)
		case want >= 0 && (err != nil || int64(d.left[0].scope) != want):
			t.Errorf("%s: %v, %v", zone, d.left, err)
		}
	}
}

func TestOriginsAreThoseOfTheSameAddressOrUsedAgainWhenTheyAreOver(t *testing.T) {
	s := &Server{listeners: make(map[*listener]struct{}), loops: []*loop{{}}}
	s.origins.Store(&[]*origin{newOrigin(nil, 1)})
	open := func(network string, port int) *listener {
		ln := &listener{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}}
		if network == "unix" {
			ln.addr = &net.UnixAddr{Name: ln.addr.String(), Net: "unix"}
		}
		s.listeners[ln] = struct{}{}
		ln.origin = s.originOf(ln)
		return ln
	}
	expect := func(ln *listener, want uint32) {
		t.Helper()
		if ln.origin != want {
			t.Errorf("%v has origin %d, not %d", ln.addr, ln.origin, want)
		}
		if o := (*s.origins.Load())[ln.origin]; o.addr.String() != ln.addr.String() || o.listener != ln {
			t.Errorf("origin %d is of %v, not %v", ln.origin, o.addr, ln.addr)
		}
	}
	a, b, c := open("tcp", 1), open("tcp", 2), open("unix", 1)
	expect(a, 1)
	expect(b, 2)
	expect(c, 3)
	again := open("tcp", 2)
	expect(again, 2)
	delete(s.listeners, again)
	delete(s.listeners, b)
	states := &(*s.origins.Load())[2].loops[0].states
	states[stateOpen].Add(1)
	expect(open("tcp", 4), 4) // a connection of b is open
	states[stateOpen].Add(-1)
	expect(open("tcp", 5), 2)
	if n := len(*s.origins.Load()); n != 5 {
		t.Errorf("there are %d origins", n)
	}
}

// What a record is reckoned at that has come in part is what one can be, and not much more.
func TestARecordInPartWeighsARecord(t *testing.T) {
	if recordMemory < tlsconn.MaxRecord || recordMemory > tlsconn.MaxRecord*5/4 {
		t.Errorf("it is reckoned at %d bytes, and is %d long at most", recordMemory, tlsconn.MaxRecord)
	}
}
