package bench

import (
	"math"
	"time"
)

// In an open loop the messages of all clients form one schedule: message m is due m/Rate seconds after the start, and is
// client m mod Conns's.

// dueAt returns when message m of all is due. It is never later than half of what an int64 holds: a rate of almost nothing
// has messages that are due in centuries.
func (r *run) dueAt(m float64) int64 { return int64(min(m/r.cfg.Rate*1e9, math.MaxInt64/2)) }

// dueAt returns when the client's message of that number is due.
func (k *client) dueAt(slot int64) int64 {
	return k.run.dueAt(float64(slot)*float64(k.run.cfg.Conns) + float64(k.number))
}

// slotAt returns the number of the client's first message that is due at a time or after it.
func (k *client) slotAt(t int64) int64 {
	cfg := &k.run.cfg
	slot := max(0, int64((float64(t)/1e9*cfg.Rate-float64(k.number))/float64(cfg.Conns))) // or one off
	for slot > 0 && k.dueAt(slot-1) >= t {
		slot--
	}
	for k.dueAt(slot) < t {
		slot++
	}
	return slot
}

// nextDue returns when the client's next message should leave, and whether that time has come. mu is held.
func (k *client) nextDue(now int64, paced bool) (due int64, ok bool) {
	if k.slot < 0 { // its first: what was due before it was there is nobody's
		k.slot = k.slotAt(now)
	}
	if due = k.dueAt(k.slot); due > now || k.run.stopping.Load() && due >= k.run.ended {
		return 0, false
	}
	k.slot++
	if paced {
		rec := k.run.paced
		rec.mu.Lock()
		record(rec.now.lag, now-due)
		rec.mu.Unlock()
	}
	return due, true
}

// owed returns how many messages the schedule had for the client since a time, and until the end, that it did not send. A
// client that never had a connection owes all of them. mu is held.
func (k *client) owed(since int64) int64 {
	if k.run.quota.spent() {
		return 0
	}
	return max(0, k.slotAt(k.run.ended)-max(k.slot, k.slotAt(since)))
}

// startExchange dials if an exchange is due. mu is held.
func (k *client) startExchange(now int64, paced bool) {
	if due, ok := k.nextDue(now, paced); ok {
		k.busy = true
		k.dial(due, nil)
	}
}

// pace sends every message when it is due, until the run stops.
func (r *run) pace() {
	nap, done := newNap()
	defer done()
	for m := 0; !r.stopping.Load(); m++ {
		due := r.dueAt(float64(m))
		for wait := due - r.now(); wait > 0 && !r.stopping.Load(); wait = due - r.now() {
			nap(min(time.Duration(wait), 50*time.Millisecond))
		}
		k := r.clients[m%len(r.clients)]
		k.mu.Lock()
		k.prompt(true)
		k.mu.Unlock()
	}
}

// prompt has the client do what is due. mu is held.
func (k *client) prompt(paced bool) {
	switch {
	case k.run.cfg.Churn && !k.busy:
		k.startExchange(k.run.now(), paced)
	case k.conn != nil && !k.run.cfg.Churn:
		k.send(k.run.now(), paced)
	}
}
