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
	active atomic.Int64 // connections, those on their way included
	dead   bool         // under the pool's mu
	probe  *time.Timer  // nil while none is due
}

// A pool is the targets, used by every loop.
type pool struct {
	balance Balance
	log     *slog.Logger
	all     []*target

	mu     sync.Mutex
	next   int
	server *switchboard.Server // on whose loops targets are looked at
	closed bool
}

// String lists the addresses.
func (p *pool) String() string {
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

// pick returns the target for a client that has tried some in vain, nil when there is none left, and counts a connection
// on it. Targets that did not answer lately are only tried when no other is left: they may have come back.
func (p *pool) pick(tried []*target) *target {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i := range p.all {
		i = (p.next + i) % len(p.all)
		if !slices.Contains(tried, p.all[i]) && (best < 0 || p.better(p.all[i], p.all[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	p.next = (best + 1) % len(p.all)
	p.all[best].active.Add(1)
	return p.all[best]
}

// better tells whether t is to be preferred to one that is before it in turn.
func (p *pool) better(t, before *target) bool {
	if t.dead != before.dead {
		return before.dead
	}
	return p.balance == LeastConn && t.active.Load() < before.active.Load()
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
