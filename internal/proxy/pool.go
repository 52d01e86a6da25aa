package proxy

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A Balance says which of the targets that answer gets the next client.
type Balance string

const (
	RoundRobin Balance = "round-robin" // each in turn
	LeastConn  Balance = "least-conn"  // the one with the fewest connections, in turn among equals
)

// Balances returns all there are.
func Balances() []string { return []string{string(RoundRobin), string(LeastConn)} }

// ParseBalance returns the Balance of that name.
func ParseBalance(name string) (Balance, error) {
	if slices.Contains(Balances(), name) {
		return Balance(name), nil
	}
	return "", fmt.Errorf("unknown balance %q: there are %s", name, strings.Join(Balances(), ", "))
}

// A target is a Target and how it does.
type target struct {
	Target
	pool    *pool
	active  atomic.Int64 // connections, those on their way included
	dead    bool         // under the pool's mu, as all that follows
	turn    int          // how much it has fallen behind its share of clients
	leaving bool         // it gets no more clients, and the log is told when the last is gone
	probe   *time.Timer  // nil while none is due
}

// A pool is the targets, used by every loop.
type pool struct {
	log      *slog.Logger
	announce int // the version of the PROXY protocol, 0 without

	mu      sync.Mutex
	balance Balance
	all     []*target
	server  *switchboard.Server // on whose loops targets are looked at
	closed  bool
}

// set replaces the targets. One that was there before stays what it is, but for its weight and names.
func (p *pool) set(targets []Target, balance Balance) {
	p.mu.Lock()
	before := p.all
	p.all, p.balance = nil, balance
	for _, to := range targets {
		at := slices.IndexFunc(before, func(t *target) bool { return t.String() == to.String() })
		if at < 0 {
			p.all = append(p.all, &target{Target: to, pool: p})
			continue
		}
		t := before[at]
		before = slices.Delete(slices.Clone(before), at, at+1)
		t.Weight, t.Names, t.turn = to.Weight, to.Names, 0
		p.all = append(p.all, t)
	}
	var leave []*target
	for _, t := range slices.Concat(p.all, before) {
		is := t.Weight == 0 || slices.Contains(before, t)
		if is && !t.leaving {
			leave = append(leave, t)
		}
		t.leaving = is
	}
	p.mu.Unlock()
	for _, t := range leave {
		t.active.Add(1) // so that the line is written once, here or when the last has left
		p.log.Info("a target gets no more clients", "target", t.String(), "clients", t.active.Load()-1)
		t.left()
	}
}

// left takes a connection off the target.
func (t *target) left() {
	if t.active.Add(-1) > 0 {
		return
	}
	t.pool.mu.Lock()
	drained := t.leaving
	t.pool.mu.Unlock()
	if drained {
		t.pool.log.Info("a target is drained", "target", t.String())
	}
}

// String lists the addresses.
func (p *pool) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for _, t := range p.all {
		list = append(list, t.String())
	}
	return strings.Join(list, ", ")
}

func (p *pool) serve(s *switchboard.Server) {
	p.mu.Lock()
	p.server = s
	p.mu.Unlock()
}

// routes tells whether targets are chosen by name.
func (p *pool) routes() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.all, func(t *target) bool { return len(t.Names) > 0 })
}

// has tells whether there are targets for a name.
func (p *pool) has(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.of(name)) > 0
}

// of returns the targets for clients that ask for a name: those that have the name, else those that have a wildcard for it, else
// those without names. mu is held.
func (p *pool) of(name string) (fitting []*target) {
	best := 0
	for _, t := range p.all {
		fit := t.serves(name)
		if fit == 0 && len(t.Names) > 0 || fit < best {
			continue
		}
		if fit > best {
			best, fitting = fit, nil
		}
		fitting = append(fitting, t)
	}
	return fitting
}

// pick returns the target for a client that asks for a name and has tried some in vain, nil when there is none left, and counts a
// connection on it. Targets that did not answer lately are only tried when no other is left: they may have come back.
//
// Targets take turns as their weights say: at each choice all fall behind by their weight, and the one that is furthest behind
// gets the client and is ahead by the sum of the weights. That spreads the clients of a heavy target among those of others.
func (p *pool) pick(name string, tried []*target) *target {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *target
	sum, fitting := 0, p.of(name)
	alive := slices.ContainsFunc(fitting, func(t *target) bool { return t.Weight > 0 && !t.dead && !slices.Contains(tried, t) })
	for _, t := range fitting {
		if t.Weight == 0 || t.dead == alive || slices.Contains(tried, t) {
			continue
		}
		t.turn += t.Weight
		sum += t.Weight
		if best == nil || p.better(t, best) {
			best = t
		}
	}
	if best == nil {
		return nil
	}
	best.turn -= sum
	best.active.Add(1)
	return best
}

// better tells whether t is to be preferred to one that is before it in turn.
func (p *pool) better(t, before *target) bool {
	if p.balance == LeastConn {
		if a, b := t.active.Load()*int64(before.Weight), before.active.Load()*int64(t.Weight); a != b {
			return a < b
		}
	}
	return t.turn > before.turn
}

// answered takes a target back into the round.
func (p *pool) answered(t *target) {
	p.mu.Lock()
	was := t.dead
	t.dead = false
	p.mu.Unlock()
	if was {
		p.log.Info("a target answers again", "target", t.String())
	}
}

// failed takes a target out of the round until it answers.
func (p *pool) failed(t *target, err error) {
	p.mu.Lock()
	was := t.dead
	t.dead = true
	if !p.closed && t.probe == nil {
		t.probe = time.AfterFunc(probeEvery, func() { p.look(t) })
	}
	p.mu.Unlock()
	if !was {
		p.log.Warn("a target does not answer and is skipped until it does", "target", t.String(), "error", err)
	}
}

func (p *pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, t := range p.all {
		if t.probe != nil {
			t.probe.Stop()
		}
	}
}

// unserved counts clients that no target answered for. The log tells of them once a second at most.
type unserved struct {
	mu      sync.Mutex
	clients int
	told    time.Time
}

func (u *unserved) tell(log *slog.Logger, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clients++
	if now := time.Now(); now.Sub(u.told) >= time.Second {
		log.Error("refused a client", "reason", err, "clients", u.clients)
		u.clients, u.told = 0, now
	}
}
