package bench

import "time"

const (
	// maxQueued is how many bytes a connection's queue may hold before no more is written: far below Server.HighWater, at
	// which the connection would not be read any more, which an echo's answers must always be.
	maxQueued = 256 << 10

	// burst is how many messages that nobody answers leave in one turn of the loop.
	burst = 64
)

// send lets every message go that may go now. With paced, it is called because one is due. mu is held.
func (k *client) send(now int64, paced bool) {
	messages, bytes := int64(0), k.sent
	for {
		if k.left == 0 {
			if !k.launch(now, paced) {
				break
			}
			messages++
		}
		if !k.push() {
			break
		}
		if k.run.cfg.Expect == None && !k.idle {
			k.run.quota.settle(now, 1)
		}
		if k.run.cfg.Expect == None && messages >= burst {
			k.waiting = true
			k.conn.Do(k.resume)
			break
		}
	}
	if bytes = k.sent - bytes; bytes > 0 || messages > 0 {
		k.rec.mu.Lock()
		k.rec.now.sent += messages
		if k.run.cfg.Expect == None {
			k.rec.now.heard = now
		}
		k.rec.now.bytesOut += bytes
		k.rec.mu.Unlock()
	}
}

// launch begins a message if there is to be one now.
func (k *client) launch(now int64, paced bool) bool {
	cfg := &k.run.cfg
	if k.exempt == 0 || k.waiting || k.run.closing.Load() || k.flight.n >= cfg.Depth || k.end != nil {
		return false
	}
	due := now
	switch {
	case k.run.stopping.Load() && (cfg.Rate == 0 || k.idle), !k.idle && !k.run.quota.may():
		return false
	case cfg.Churn:
		due = k.due
	case cfg.Rate > 0 && !k.idle:
		var ok bool
		if due, ok = k.nextDue(now, paced); !ok {
			return false
		}
	}
	if !k.idle && !k.run.quota.take() {
		return false
	}
	k.exempt--
	k.left = cfg.Size.Min
	if span := cfg.Size.Max - cfg.Size.Min; span > 0 {
		k.left += k.random(span + 1)
	}
	if cfg.Expect != None {
		k.flight.push(message{due, k.sent + int64(k.left)})
	}
	return true
}

// push writes what is left of the message, and tells whether that is all.
func (k *client) push() bool {
	for k.left > 0 {
		if k.conn.Queued() > maxQueued {
			k.waitForRoom()
			return false
		}
		n := min(k.left, chunk)
		p := k.run.pattern.at(k.sentAt, n)
		if n == k.left && k.run.cfg.Expect == Line && k.run.cfg.Payload == nil {
			k.scratch = append(k.scratch[:0], p...)
			k.scratch[n-1] = '\n'
			p = k.scratch
		}
		if err := k.write(p); err != nil {
			return false // Closed will tell why
		}
		k.left -= n
		k.sent += int64(n)
		k.sentAt = k.run.pattern.after(k.sentAt, n)
	}
	return true
}

// waitForRoom has the loop come back in a millisecond.
func (k *client) waitForRoom() {
	if k.waiting {
		return
	}
	k.waiting = true
	c := k.conn
	c.Do(func() { c.After(time.Millisecond, k.resume) })
}

// resume goes on on the loop.
func (k *client) resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting = false; k.conn != nil {
		k.send(k.run.now(), false)
	}
}

// random returns a number below n. The same client draws the same numbers in every run.
func (k *client) random(n int) int {
	k.seed = k.seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
	return int(k.seed >> 33 % uint64(n))
}
