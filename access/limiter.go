package access

import (
	"cmp"
	"container/list"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
)

// Rules say who may connect. The zero Rules let everybody.
type Rules struct {
	// Allow are the networks that may connect; nil means all. Deny are those that may not, even if Allow has them.
	Allow, Deny *List

	// PerAddress limits the connections that one address may have at once. Zero means no limit.
	PerAddress int

	// Rate limits how many new connections per second one address may open, and Burst how many at once after a time of rest.
	// A refused connection does not count. A Rate of zero means no limit; a Burst of zero means one second of Rate, and at
	// least 1.
	Rate  float64
	Burst int

	// Exempt are networks for which PerAddress and Rate do not hold, such as those of a company behind one address. nil means
	// none.
	Exempt *List

	// Remembered is how many addresses that have no connection are remembered for Rate. Each needs about 200 bytes. If there are
	// more, those that came longest ago are forgotten, and may open Burst connections again. Zero means 65,536.
	Remembered int
}

// Reasons for which a Limiter refuses a connection.
var (
	ErrDenied  = errors.New("access: the address is denied")
	ErrTooMany = errors.New("access: the address has as many connections as one may have")
	ErrTooFast = errors.New("access: the address opens connections faster than one may")
)

// A Limiter is a switchboard.Admitter that keeps to Rules. Addresses of IPv6 count by their /64, which is what one customer of a
// provider has. Clients of Unix sockets have no address, and are always admitted. One Limiter may serve several servers, which
// then share its limits; any goroutine may use it.
type Limiter struct {
	denied, tooMany, tooFast atomic.Int64

	now func() time.Time

	mu      sync.Mutex
	rules   Rules
	known   map[netip.Addr]*client
	conns   map[*switchboard.Conn]*client // those that count for PerAddress
	resting list.List                     // clients without connections, those that came longest ago first
}

// A client is an address, or a /64.
type client struct {
	key    netip.Addr
	conns  int
	tokens float64   // connections that it may open
	last   time.Time // when tokens was right
	rests  *list.Element
}

// New returns a Limiter.
func New(rules Rules) *Limiter {
	return &Limiter{rules: rules, now: time.Now, known: map[netip.Addr]*client{}, conns: map[*switchboard.Conn]*client{}}
}

// Set replaces the rules, for connections that come from then on. Those that are there stay.
func (l *Limiter) Set(rules Rules) {
	l.mu.Lock()
	l.rules = rules
	l.mu.Unlock()
}

// A Refusals counts the connections that were refused, by reason.
type Refusals struct {
	Denied  int64 // ErrDenied
	TooMany int64 // ErrTooMany
	TooFast int64 // ErrTooFast
}

// Refusals returns how many connections were refused.
func (l *Limiter) Refusals() Refusals {
	return Refusals{l.denied.Load(), l.tooMany.Load(), l.tooFast.Load()}
}

// Admit implements switchboard.Admitter.
func (l *Limiter) Admit(c *switchboard.Conn, _ []byte) (int, error) {
	ip, ok := addressOf(c.RemoteAddr())
	if !ok {
		return 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	who, err := l.admit(ip)
	switch err {
	case nil:
		if who != nil {
			l.conns[c] = who
		}
	case ErrDenied:
		l.denied.Add(1)
	case ErrTooMany:
		l.tooMany.Add(1)
	case ErrTooFast:
		l.tooFast.Add(1)
	}
	return 0, err
}

// Ended implements switchboard.Admitter.
func (l *Limiter) Ended(c *switchboard.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if who := l.conns[c]; who != nil {
		delete(l.conns, c)
		l.leave(who)
	}
}

// Readmit implements switchboard.Readmitter: connections that came from another process count as others do.
func (l *Limiter) Readmit(c *switchboard.Conn) {
	ip, ok := addressOf(c.RemoteAddr())
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rules.PerAddress > 0 && !l.rules.Exempt.Contains(ip) {
		who := l.find(keyOf(ip), l.now())
		l.join(who)
		l.conns[c] = who
	}
}

func addressOf(addr net.Addr) (netip.Addr, bool) {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone(""), true
	case *net.UDPAddr: // of a header of the PROXY protocol
		return a.AddrPort().Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// keyOf returns what stands for a client: its IPv4 address, or the /64 of its IPv6 address.
func keyOf(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return ip
	}
	prefix, _ := ip.Prefix(64)
	return prefix.Addr()
}

// admit decides about an address. It returns the client if the connection counts for PerAddress. mu is held.
func (l *Limiter) admit(ip netip.Addr) (*client, error) {
	r := &l.rules
	switch {
	case r.Deny.Contains(ip), r.Allow != nil && !r.Allow.Contains(ip):
		return nil, ErrDenied
	case r.PerAddress <= 0 && r.Rate <= 0, r.Exempt.Contains(ip):
		return nil, nil
	}
	now := l.now()
	who := l.find(keyOf(ip), now)
	if r.PerAddress > 0 && who.conns >= r.PerAddress {
		return nil, ErrTooMany
	}
	if r.Rate > 0 {
		who.tokens = min(r.burst(), who.tokens+max(0, now.Sub(who.last).Seconds())*r.Rate)
		who.last = now
		if who.tokens < 1 {
			return nil, ErrTooFast
		}
		who.tokens--
	}
	if r.PerAddress <= 0 {
		l.known[who.key] = who
		l.rest(who)
		return nil, nil
	}
	l.join(who)
	return who, nil
}

// burst is how many connections an address may open that has rested.
func (r *Rules) burst() float64 { return float64(cmp.Or(r.Burst, max(1, int(r.Rate)))) }

// find returns the client with a key, which is not known yet if it is new. mu is held.
func (l *Limiter) find(key netip.Addr, now time.Time) *client {
	if who := l.known[key]; who != nil {
		return who
	}
	return &client{key: key, tokens: l.rules.burst(), last: now}
}

// join gives a client one more connection. mu is held.
func (l *Limiter) join(who *client) {
	l.known[who.key] = who
	if who.rests != nil {
		l.resting.Remove(who.rests)
		who.rests = nil
	}
	who.conns++
}

// leave takes a connection from a client. mu is held.
func (l *Limiter) leave(who *client) {
	if who.conns--; who.conns > 0 {
		return
	}
	if l.rules.Rate <= 0 {
		delete(l.known, who.key)
		return
	}
	l.rest(who)
}

// rest has a client without connections remembered, as the one that came last, and forgets another if there are too many.
// mu is held.
func (l *Limiter) rest(who *client) {
	if who.rests != nil {
		l.resting.MoveToBack(who.rests)
	} else if who.conns == 0 {
		who.rests = l.resting.PushBack(who)
	}
	for l.resting.Len() > cmp.Or(max(0, l.rules.Remembered), 1<<16) {
		oldest := l.resting.Remove(l.resting.Front()).(*client)
		oldest.rests = nil
		delete(l.known, oldest.key)
	}
}
