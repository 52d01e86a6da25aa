package bench

import "time"

// In an open loop the messages of all clients form one schedule: message m is due m/Rate seconds after the start, and is
// client m mod Conns's.

// dueAt returns when the client's message of that number is due.
func (k *client) dueAt(slot int64) int64 {
	m := float64(slot)*float64(k.run.cfg.Conns) + float64(k.number)
	return int64(m / k.run.cfg.Rate * 1e9)
}

// nextDue returns when the client's next message should leave, and whether that time has come. mu is held.
func (k *client) nextDue(now int64, paced bool) (due int64, ok bool) {
	if k.slot < 0 { // its first: what was due before it was there is nobody's
		k.slot = max(0, int64(float64(now)/1e9*k.run.cfg.Rate/float64(k.run.cfg.Conns)))
		for k.dueAt(k.slot) < now {
			k.slot++
		}
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

// owed returns how many messages the schedule had for the client until the end that it did not send. A client that never
// had a connection owes all of them. mu is held.
func (k *client) owed() int64 {
	cfg, ended := &k.run.cfg, k.run.ended
	next := int64((float64(ended)/1e9*cfg.Rate - float64(k.number)) / float64(cfg.Conns)) // that is not before the end, or one off
	for next > 0 && k.dueAt(next-1) >= ended {
		next--
	}
	for k.dueAt(next) < ended {
		next++
	}
	return max(0, next-max(0, k.slot))
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
		due := int64(float64(m) / r.cfg.Rate * 1e9)
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
