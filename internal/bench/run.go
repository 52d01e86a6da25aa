package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A run is one load on one server.
type run struct {
	cfg       Config
	ctx       context.Context // of dialling
	cancel    context.CancelFunc
	start     time.Time
	server    *switchboard.Server // that only dials
	dialer    *websocket.Dialer   // nil without WebSocket
	address   string
	there     arrival
	pattern   *pattern
	clients   []*client
	idlers    []*client
	recorders []*recorder    // of the loops
	paced     *recorder      // of the pacer
	aside     sync.WaitGroup // of the goroutines beside the conductor's
	up        chan arrival   // how the first connection of all went
	outcomes  chan error     // how each client's first connection went
	quota     quota
	refusals  chan error // why no message will ever be answered

	open              atomic.Int64 // connections
	heard             atomic.Bool  // there was an answer
	bytesOut, bytesIn atomic.Int64 // of connections that are gone
	stopping          atomic.Bool  // no more messages, but what the schedule has before ended
	closing           atomic.Bool  // connections end because the run does; nothing is counted any more
	closed            sync.Once

	// The conductor's: the goroutine that called Run.
	phase       Phase
	phaseBegan  int64
	began       int64            // when the measurement began
	ended       int64            // when the measurement was over; set before stopping
	inFlight    int64            // messages, when the measurement began
	oldest      int64            // when the oldest message without an answer was due
	before      map[string]int64 // errors of each kind, then
	period      time.Duration
	sampled     int64
	sampledCost cost
	part        *tally // of a sample
	whole       *tally
	measured    *tally
	late        *tally
	timeline    []Sample
	last        Sample
	refusal     error // that ended the run
}

// Run loads a server as cfg says and returns what it found out. When ctx ends, the run ends early with what there is. An
// error is about what makes a run impossible: settings that make no sense, a server that is not there. What goes wrong
// later is counted in the Result. Run takes no longer than Ramp, Warmup, Duration, twice OpenWait, LastWait and some milliseconds;
// nothing of it is left when it returns.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	if err := checkDescriptors(cfg.Conns + cfg.Idle); err != nil {
		return nil, err
	}
	r := newRun(cfg)
	defer r.closed.Do(r.close)
	if err := r.first(ctx); err != nil {
		return nil, err
	}
	server, err := r.findServer()
	if err != nil {
		return nil, err
	}
	return r.conduct(ctx, server)
}

var errInterrupted = errors.New("interrupted before the measurement began")

func newRun(cfg Config) *run {
	r := &run{
		cfg:      cfg,
		start:    time.Now(),
		address:  cfg.Address,
		paced:    newRecorder(),
		part:     newTally(),
		whole:    newTally(),
		measured: newTally(),
		late:     newTally(),
		up:       make(chan arrival, 1),
		outcomes: make(chan error, cfg.Conns+cfg.Idle),
		refusals: make(chan error, 1),
		quota:    quota{most: cfg.Requests, done: make(chan struct{})},
		period:   time.Second,
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if cfg.Duration < 10*time.Second {
		r.period = max(cfg.Duration/10, probing)
	}
	r.server = &switchboard.Server{
		Loops:         cfg.Loops,
		HighWater:     4 * maxQueued,
		DialTimeout:   cfg.OpenWait,
		LingerTimeout: time.Second,
		WriteTimeout:  -1,
		SlowCall:      -1,
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if host, _, err := net.SplitHostPort(cfg.Address); err == nil && cfg.TLS != nil && cfg.TLS.ServerName == "" {
		r.cfg.TLS = cfg.TLS.Clone()
		r.cfg.TLS.ServerName = host // as later connections go to the address that was found
	}
	if cfg.WebSocket != nil {
		r.dialer = r.newDialer()
	}
	if len(cfg.Sources) > 0 {
		r.server.DialControl = bindTo(cfg.Sources)
	}
	if cfg.Payload != nil {
		r.pattern = repeating(cfg.Payload)
	} else {
		r.pattern = noise(cfg.Expect == Line)
	}
	for range cfg.Loops {
		r.recorders = append(r.recorders, newRecorder())
	}
	for i := range cfg.Conns {
		r.clients = append(r.clients, r.newClient(i, false))
	}
	for i := range cfg.Idle {
		r.idlers = append(r.idlers, r.newClient(cfg.Conns+i, true))
	}
	return r
}

// now is the time since the run began, in nanoseconds.
func (r *run) now() int64 { return int64(time.Since(r.start)) }

// all returns the clients in the order in which they connect.
func (r *run) all() []*client { return append(append([]*client{}, r.idlers...), r.clients...) }

// first connects one client, to know that there is a server and at which of its addresses.
func (r *run) first(ctx context.Context) error {
	k := r.all()[0]
	k.start()
	enough := time.NewTimer(4 * r.cfg.OpenWait) // a name may take its time, and have several addresses
	defer enough.Stop()
	select {
	case r.there = <-r.up:
	case <-enough.C:
		return fmt.Errorf("dial %s: %w", r.address, os.ErrDeadlineExceeded)
	case <-ctx.Done():
		return errInterrupted
	}
	if a, ok := r.there.server.(*net.TCPAddr); ok {
		k.mu.Lock() // its first connection may be gone already, and it dial the next
		r.address = a.String()
		k.mu.Unlock()
	}
	return r.there.err
}

// maxOpening is how many connections are on their way at once: fewer than the backlogs of most servers, as a connection
// that finds a backlog full is tried again only after a second.
const maxOpening = 64

// openAll connects the others, and closes finished when each has come about or not. It gives up after a while.
func (r *run) openAll(ctx context.Context, finished chan<- struct{}) {
	defer close(finished)
	all := r.all()
	began := time.Now()
	enough := time.NewTimer(r.cfg.Ramp + 2*r.cfg.OpenWait)
	defer enough.Stop()
	turn := time.NewTimer(0)
	defer turn.Stop()
	onTheirWay := 1
	for i := 1; i < len(all) || onTheirWay > 0; {
		var due <-chan time.Time
		if i < len(all) && onTheirWay < maxOpening {
			turn.Reset(time.Until(began.Add(r.cfg.Ramp * time.Duration(i) / time.Duration(len(all)))))
			due = turn.C
		}
		select {
		case <-due:
			all[i].start()
			i++
			onTheirWay++
		case <-r.outcomes:
			onTheirWay--
		case <-ctx.Done():
			return
		case <-enough.C:
			if missing := len(all) - i; missing > 0 {
				r.recorders[0].mu.Lock()
				r.recorders[0].now.failed += int64(missing)
				r.recorders[0].now.trouble("connect: the time for it was over", "the server took the others too slowly", int64(missing))
				r.recorders[0].mu.Unlock()
			}
			return
		}
	}
}

// conduct leads the run through its phases.
func (r *run) conduct(ctx context.Context, server *process) (*Result, error) {
	if r.cfg.Rate > 0 && len(r.clients) > 0 {
		r.aside.Go(r.pace)
	}
	finished := make(chan struct{})
	r.aside.Go(func() { r.openAll(r.ctx, finished) })
	ok := r.during(ctx, Opening, maxWait, finished) && r.during(ctx, Warming, r.cfg.Warmup, nil)
	if r.refusal != nil {
		return nil, r.refusal
	}
	if !ok {
		return nil, errInterrupted
	}
	server.begin()
	used := ownCost()
	r.begin()
	r.sampled, r.sampledCost = r.began, used
	r.release()
	ok = r.during(ctx, Measuring, r.cfg.Duration, r.quota.done)
	r.ended = r.now()
	if at := r.quota.doneAt.Load(); at > 0 {
		r.ended = at
	}
	r.stopping.Store(true)
	used = ownCost().since(used)
	server.end(int(r.open.Load()))

	if r.refusal != nil {
		return nil, r.refusal
	}
	res := r.newResult(r.began, r.ended, used)
	res.Interrupted = !ok
	res.Connections.AtEnd = r.open.Load()
	r.drain(ctx)
	r.closing.Store(true)
	r.leftovers(res)
	r.closed.Do(r.close)
	r.finish(res, server)
	return res, nil
}

// begin draws the line between what was before the measurement and what is in it.
func (r *run) begin() {
	r.take(r.whole) // what came since the last sample is in none
	r.began = r.now()
	if r.cfg.Expect != None {
		r.inFlight = r.whole.sent - r.whole.answered - r.whole.lost
	}
	r.before = map[string]int64{}
	for kind, trouble := range r.whole.troubles {
		r.before[kind] = trouble.Count
	}
}

// impatience is how long a run that a signal has ended waits for its last answers at most.
const impatience = time.Second

// drain waits until what was due is sent and what is in flight answered, but not forever, and not long after a signal.
func (r *run) drain(ctx context.Context) {
	r.phase = Draining
	var told int64 // when the signal came
	for r.now()-r.ended < int64(r.cfg.LastWait) {
		if ctx.Err() != nil {
			if told == 0 {
				told = r.now()
			}
			if r.now()-told >= int64(impatience) {
				return
			}
		}
		left := int64(0)
		for _, k := range r.all() {
			k.mu.Lock()
			if r.cfg.Rate > 0 && !k.idle {
				k.prompt(false)
				left += k.owed(0)
			}
			left += k.underWay()
			k.mu.Unlock()
		}
		if left == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// close ends every connection and everything else that the run has begun.
func (r *run) close() {
	r.stopping.Store(true)
	r.closing.Store(true)
	r.cancel()
	r.aside.Wait()
	for _, k := range r.all() {
		k.mu.Lock()
		if k.timer != nil {
			k.timer.Stop()
		}
		if k.conn != nil && (r.cfg.Reset || r.cfg.Churn) {
			k.conn.Abort()
		}
		k.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r.server.Shutdown(ctx)
	r.take(r.whole)
}

// An arrival is how the first connection of all went.
type arrival struct {
	server, client net.Addr
	tls            string // version, "" without TLS
	err            error  // why there was none
}

// cameUp tells of an arrival, if it is the first. c is nil if it failed.
func (r *run) cameUp(c *switchboard.Conn, err error) {
	if len(r.up) > 0 {
		return
	}
	a := arrival{err: err}
	if c != nil {
		a.server, a.client = c.RemoteAddr(), c.LocalAddr()
		if state := c.TLS(); state != nil {
			a.tls = tls.VersionName(state.Version)
		}
	}
	select {
	case r.up <- a:
	default:
	}
}
