package bench

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A client is one connection at a time, and opens the next one when that is gone. It is the connection's handler. Its mu
// is contended only in an open loop, where the pacer sends too.
type client struct {
	run     *run
	number  int
	idle    bool // it has one exchange, and then only sits there
	answers answers

	mu    sync.Mutex
	conn  *switchboard.Conn // nil unless it is open
	heard bool              // it has had an answer, on this connection or one before
	rec   *recorder         // of conn's loop
	began int64             // when it was dialled
	due   int64             // with Churn: when the exchange should have begun
	told  bool              // the run knows whether it ever came about
	end   error             // why this side ends it, errDone if all is well; nil if this side does not
	pause time.Duration     // before the next attempt
	timer *time.Timer       // until then

	// Schedule, for an open loop.
	slot int64 // the number of its next message; less than 0 before the first
	busy bool  // with Churn: an exchange, or the wait for another attempt, is under way

	// Send state.
	seed    uint64
	flight  flight
	exempt  int64 // messages it may still send; less than 0: any number
	sent    int64 // bytes
	sentAt  int   // the pattern's position
	left    int   // bytes of the message under way
	waiting bool  // for room in its queue
	scratch []byte
	socket  *websocket.Conn // on conn, if it speaks that
	begun   bool            // a part of the message under way has been sent on it

	// Receive state.
	got   int64
	gotAt int
}

// errDone ends a connection that has done what it was for.
var errDone = errors.New("done")

func (r *run) newClient(number int, idle bool) *client {
	k := &client{run: r, number: number, idle: idle, answers: r.newAnswers(), slot: -1, seed: uint64(number), busy: true}
	k.begin()
	return k
}

// begin puts everything as it is on a new connection.
func (k *client) begin() {
	k.conn, k.rec, k.end, k.left, k.waiting = nil, nil, nil, 0, false
	k.socket, k.begun = nil, false
	k.sent, k.got = 0, 0
	k.sentAt = 0
	if k.run.cfg.Payload == nil {
		k.sentAt = k.number * 7919 % k.run.pattern.period // so that one connection's bytes on another one show
	}
	k.gotAt = k.sentAt
	k.exempt = -1
	if k.idle || k.run.cfg.Churn {
		k.exempt = 1
	}
	k.flight.clear()
	k.answers.reset()
}

// start opens the client's first connection.
func (k *client) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dial(k.run.now(), nil)
}

// dial opens the connection, on the loop of the one before if there was one. mu is held.
func (k *client) dial(due int64, before *switchboard.Conn) {
	var err error
	r := k.run
	k.began, k.due = r.now(), due
	switch secure := r.cfg.TLS; {
	case r.dialer != nil:
		err = k.dialWebSocket()
	case before != nil && secure != nil:
		_, err = before.DialTLS(r.ctx, r.address, secure, k)
	case before != nil:
		_, err = before.Dial(r.ctx, r.address, k)
	case secure != nil:
		_, err = r.server.DialTLS(r.ctx, r.address, secure, k)
	default:
		_, err = r.server.Dial(r.ctx, r.address, k)
	}
	if err != nil {
		k.failed(k.run.recorders[0], err)
	}
}

// Opened implements switchboard.Opener.
func (k *client) Opened(c *switchboard.Conn) error {
	now := k.run.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conn, k.rec = c, k.run.recorders[c.Loop()]
	k.rec.line.Store(c)
	k.run.open.Add(1)
	k.rec.mu.Lock()
	k.rec.now.opened++
	record(k.rec.now.connect, now-k.began)
	k.rec.mu.Unlock()
	k.run.cameUp(c, nil)
	if !k.idle || k.run.cfg.Expect == None {
		k.tell(nil)
	}
	k.send(now, false)
	return nil
}

// Data implements switchboard.Handler.
func (k *client) Data(c *switchboard.Conn, p []byte) (int, error) {
	now := k.run.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.run.closing.Load() || k.end != nil {
		return len(p), nil // too late to count
	}
	used, whole, err := k.answers.take(k, p)
	k.settle(now, whole, used)
	switch {
	case k.end != nil:
		return len(p), nil
	case err == errLast:
		k.end = errDone
		return used, io.EOF
	case err != nil:
		k.end = err
		c.Abort()
		return len(p), nil
	}
	k.send(now, false)
	return used, nil
}

// settle counts answers that have come to their end. mu is held.
func (k *client) settle(now int64, whole, bytes int) {
	none := whole > k.flight.n
	whole = min(whole, k.flight.n)
	k.rec.mu.Lock()
	for range whole {
		record(k.rec.now.latency, now-k.flight.pop().due)
	}
	if whole > 0 {
		k.rec.now.answered += int64(whole)
		k.rec.now.heard = now
	}
	k.rec.now.bytesIn += int64(bytes)
	k.rec.mu.Unlock()
	if whole > 0 {
		k.pause, k.heard = 0, true
		k.tell(nil)
		if !k.idle {
			k.run.quota.settle(now, int64(whole))
		}
		if !k.run.heard.Load() {
			k.run.heard.Store(true)
		}
	}
	switch {
	case none:
		k.end = &fault{kind: "an answer to nothing"}
		k.conn.Abort()
	case k.exempt == 0 && k.flight.n == 0 && !k.idle:
		k.end = errDone
		k.conn.Abort() // leaves no port waiting
	}
}

// InputEnded implements switchboard.InputEnder.
func (k *client) InputEnded(_ *switchboard.Conn, left []byte) error {
	now := k.run.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.run.closing.Load() {
		return io.EOF
	}
	whole, err := k.answers.end(left)
	k.settle(now, whole, len(left))
	switch {
	case k.end != nil:
	case err != nil:
		k.end = err
	case whole > 0 || k.run.cfg.Expect == HTTP && k.flight.n == 0 && !k.idle:
		k.end = errDone
	default:
		k.end = errClosed
	}
	return io.EOF
}

// Close implements switchboard.Handler.
func (k *client) Closed(c *switchboard.Conn, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.run
	rec := r.recorders[c.Loop()]
	r.bytesOut.Add(c.Sent())
	r.bytesIn.Add(c.Received())
	if k.conn == nil {
		k.failed(rec, err)
		return
	}
	switch {
	case k.end != nil:
		err = k.end
	case err == nil:
		err = errClosed
	}
	r.open.Add(-1)
	if r.closing.Load() {
		return
	}
	wait := time.Duration(0)
	rec.mu.Lock()
	rec.now.lost += k.underWay()
	if !k.idle {
		r.quota.settle(r.now(), k.underWay())
	}
	if err != errDone {
		if refuses(err) && !r.heard.Load() {
			r.refuse(fmt.Errorf("%s: %w", r.cfg.Address, err))
		}
		rec.now.dropped++
		rec.now.fails(r.now(), err)
		wait = k.patience()
	}
	rec.mu.Unlock()
	k.begin()
	k.tell(err)
	k.reopen(c, wait)
}

// failed counts a connection that did not come about. mu is held.
func (k *client) failed(rec *recorder, err error) {
	if k.run.closing.Load() {
		return
	}
	rec.mu.Lock()
	rec.now.failed++
	rec.now.fails(k.run.now(), err)
	if k.connecting() {
		rec.now.notSent++
	}
	rec.mu.Unlock()
	k.run.cameUp(nil, err)
	k.tell(err)
	k.reopen(nil, k.patience())
}

// underWay returns how many messages have left, or begun to, and are not done.
func (k *client) underWay() int64 {
	if k.connecting() {
		return 1
	}
	if k.run.cfg.Expect == None && k.left > 0 {
		return 1
	}
	return int64(k.flight.n)
}

// connecting tells whether the client opens a connection to send what the schedule has.
func (k *client) connecting() bool {
	return k.run.cfg.Churn && k.conn == nil && k.busy && k.timer == nil && k.run.cfg.Rate > 0
}

// complain counts an answer that is whole but not good.
func (k *client) complain(f *fault) {
	k.rec.mu.Lock()
	k.rec.now.trouble(f.kind, f.Error(), 1)
	k.rec.mu.Unlock()
}

// tell lets the run know once how the first attempt went.
func (k *client) tell(err error) {
	if !k.told {
		k.told = true
		k.run.outcomes <- err
	}
}

// patience is how long to wait before the next attempt after one that failed: longer each time, so that a server in
// trouble is not beaten.
func (k *client) patience() time.Duration {
	k.pause = min(max(10*time.Millisecond, 2*k.pause), time.Second)
	return k.pause + rand.N(k.pause/4+1)
}

// reopen opens the next connection, unless the run is over or this one was only to sit there.
func (k *client) reopen(before *switchboard.Conn, wait time.Duration) {
	open := k.run.cfg.Rate > 0 // what was due before the end is sent after it, too
	switch {
	case k.idle || k.run.closing.Load() || k.run.quota.spent() || k.run.stopping.Load() && !open:
	case wait > 0:
		k.timer = time.AfterFunc(wait, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.timer = nil
			k.reopen(nil, 0)
		})
	case k.run.cfg.Churn && open:
		k.busy = false
		k.startExchange(k.run.now(), false)
	default:
		k.dial(k.run.now(), before)
	}
}
