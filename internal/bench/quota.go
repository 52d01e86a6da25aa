package bench

import (
	"sync/atomic"
	"time"
)

// A quota is how many messages a run sends at all, with Config.Requests. None is sent before the measurement begins, so that
// all are in it.
type quota struct {
	most    int64         // 0: any number
	open    atomic.Bool   // the measurement has begun
	issued  atomic.Int64  // messages that have left, or begun to
	settled atomic.Int64  // messages that are answered or lost; with None, that have left
	done    chan struct{} // closed when all are settled
	doneAt  atomic.Int64  // when that was
}

// take tells whether one more message may leave, and counts it.
func (q *quota) take() bool {
	if q.most == 0 {
		return true
	}
	for q.open.Load() {
		n := q.issued.Load()
		if n >= q.most {
			return false
		}
		if q.issued.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

// may tells whether one more message could leave.
func (q *quota) may() bool { return q.most == 0 || q.open.Load() && q.issued.Load() < q.most }

// spent tells whether all messages have left.
func (q *quota) spent() bool { return q.most > 0 && q.issued.Load() >= q.most }

// settle counts messages that have had their fate.
func (q *quota) settle(now, n int64) {
	if q.most == 0 || n == 0 {
		return
	}
	if after := q.settled.Add(n); after >= q.most && after-n < q.most {
		q.doneAt.Store(now)
		close(q.done)
	}
}

// release begins to send. Connections that came before have waited for that.
func (r *run) release() {
	r.quota.open.Store(true)
	if r.quota.most == 0 {
		return
	}
	for _, k := range r.clients {
		k.mu.Lock()
		switch now := r.now(); {
		case k.conn == nil:
		case r.cfg.Rate == 0 || r.cfg.Churn:
			k.due = now
			k.send(now, false)
		default: // the pacer has them send, from the first message on that is due now or later
			k.slot = k.slotAt(now)
		}
		k.mu.Unlock()
	}
}

// stalled tells whether nothing was settled for so long that nothing will be, though messages are in flight or there is no
// connection. last is what was when this was asked before.
func (q *quota) stalled(last *struct{ n, at int64 }, now int64, connections int64, patience time.Duration) bool {
	n := q.settled.Load()
	if n != last.n || last.at == 0 || n == q.issued.Load() && connections > 0 {
		last.n, last.at = n, now
	}
	return q.most > 0 && now-last.at > int64(patience)
}
