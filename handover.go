package switchboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/handover"
)

var (
	// ErrMoved ends a connection that another process has taken over: its peer notices nothing.
	ErrMoved = errors.New("switchboard: another process serves the connection from here on")

	// ErrNotMoved ends the handler that Server.Moved made for a connection which then stayed in the other process.
	ErrNotMoved = errors.New("switchboard: the connection stays in the process that serves it")
)

// A Mover is a Handler whose connections can move to another process, see Server.Handover. Move returns what that process
// needs to go on serving c: its Server.Moved makes a handler of it. Input that is not consumed, queued output and counters
// move by themselves; timers and the value of SetValue do not.
//
// Move must not change anything: if the handover fails, the Mover goes on serving c. If it succeeds, Closed is called with
// ErrMoved. An error says that c cannot move now; it stays, and this process serves it until it ends. Move runs while all loops
// stand still, unless c moves early (EarlyMover), and must not wait.
type Mover interface {
	Move(c *Conn) (HandlerState, error)
}

// An EarlyMover is a Mover whose idle connections may move ahead of the others, while those are served, so that a handover of many
// connections does not keep the busy ones waiting. MovesEarly tells whether c may. What Move returns must then change by nothing but
// the input and the end of c, and by what is written to c. Move is called on the loop of c while loops turn, and again while they
// stand still if c has changed meanwhile.
//
// c is not read from then on until the handover is over, and what is written to it waits.
type EarlyMover interface {
	Mover
	MovesEarly(c *Conn) bool
}

// A HandlerState is what a handler says of a connection to its counterpart in another process.
type HandlerState struct {
	Kind    string // names the handler
	Version int    // of Data, at least 0; a process that does not know it returns an error from Server.Moved
	Data    []byte // at most 16 MiB

	// Rearms says that the counterpart calls Conn.WhenSent by itself for what c waits for. Otherwise a connection stays that has
	// functions of WhenSent which were not called yet.
	Rearms bool
}

// A Shared is what the handlers of a Server share and what must move together with their connections, such as the rooms of package
// room: see Server.Shared. All loops stand still from Hand to Handed, and Move of the handlers is called between them.
type Shared interface {
	// Hand returns what the counterpart needs, with at most 1 GiB of data, and a file for it, which Handover closes, or nil. It must
	// not wait. s is the Server whose loops stand still. After an error the handover has failed, and Handed is not called.
	Hand(s *Server) (HandlerState, *os.File, error)

	// Handed ends what Hand began. moved tells whether the other process has everything. If not, this one goes on.
	Handed(moved bool)

	// Take receives, in the other process, what Hand returned, before Server.Moved is called for any connection but those that
	// move early (EarlyMover). The file is its own, nil if there is none. After an error the handover has failed, and Taken is not called.
	Take(from HandlerState, file *os.File) error

	// Taken ends what Take began, before any connection is served. moved tells whether this process has everything. If not,
	// Moved may have made handlers; their Closed is called with ErrNotMoved, before or after.
	Taken(moved bool)
}

// A Handed tells what a handover has moved.
type Handed struct {
	Listeners int
	Conns     int           // connections that moved
	Stayed    int           // connections that the giving process goes on serving; 0 from Takeover
	Why       string        // why the taking process has refused some of these; empty if it has not
	Still     time.Duration // for how long the loops of the giving process stood still; 0 from Takeover
}

const (
	// handoverPatience is how long a handover waits for one word of the other process, while all connections are served.
	handoverPatience = 30 * time.Second

	// stillLimit is how long loops stand still for a handover, and how long it waits before that for the other process to have caught
	// up with the idle connections. Then it has failed, and the loops go on.
	stillLimit = 5 * time.Second

	// aheadLimit is for how long idle connections go ahead. Those that are left then are offered with the others.
	aheadLimit = 2 * time.Second

	// someIdle is how many idle connections a loop gives away in one turn.
	someIdle = handover.MaxConns

	// frameBytes is how much goes into one frame, unless one connection holds more.
	frameBytes = 256 << 10
)

// Handover gives the listeners of s, and the connections whose handlers can move, to the process at the other end of to,
// which calls Takeover. Handlers that are Movers can move, and both connections of a Pipe together. TLS connections,
// connections of Blocking, connections that are held (Hold) or wait (WhenSent, without Rearms), that are still being dialled or are about to end
// stay: s goes on serving them.
//
// A connection keeps its descriptor, the input that its handler has not consumed, its queued output, its counters and its age.
// No byte is lost, and none is sent twice. Idle connections of EarlyMovers go first, some in each turn of their loop; they are
// not read until the handover is over. Then the loops stand still for the time that the others take, some milliseconds for a
// thousand connections; clients that connect meanwhile wait in the backlog.
//
// Everything belongs to s until the other process has said, once, that it has it. If that process dies, refuses or does not
// answer before, Handover returns an error, s goes on serving, and no client notices. Idle connections go first for 7 seconds at
// most, and loops stand still for 5 seconds at most.
//
// After success ListenAndServe, Serve and ServeSocket return ErrServerClosed for the listeners that moved. s serves the
// connections that stayed until Shutdown, which a program calls next. If all the connections moved, it returns at once.
//
// Shutdown and Close end a Handover that is not over, with the error ErrServerClosed. A second Handover waits until the first
// is over. Handover does not close to. It must not be called on a loop. It is for Linux; elsewhere the error is
// errors.ErrUnsupported.
func (s *Server) Handover(ctx context.Context, to *net.UnixConn) (Handed, error) {
	done, err := s.inTurn(ctx)
	if err != nil {
		return Handed{}, fmt.Errorf("switchboard: handover: %w", err)
	}
	defer done()
	if s.kernel != nil {
		return Handed{}, errors.ErrUnsupported // a simulated kernel's descriptors are nobody else's
	}
	h := &giving{server: s, link: handover.NewLink(to), over: make(chan struct{})}
	defer context.AfterFunc(ctx, h.link.Expire)()
	if err := h.run(); err != nil {
		return Handed{}, fmt.Errorf("switchboard: handover: %w", cmp.Or(context.Cause(ctx), err))
	}
	return h.handed, nil
}

// HandedOver tells whether another process has taken over the listeners of s: a handler can say so to a client that it asks to
// leave. Any goroutine may call it.
func (s *Server) HandedOver() bool { return s.handedOver.Load() }

// inTurn waits until s hands nothing over, and has others wait until done is called.
func (s *Server) inTurn(ctx context.Context) (done func(), err error) {
	s.mu.Lock()
	state, handing := s.state, s.handing
	s.mu.Unlock()
	switch state {
	case serverNew:
		return nil, errors.New("the server serves nothing yet")
	case serverStopping, serverClosed:
		return nil, ErrServerClosed
	}
	select {
	case handing <- struct{}{}:
		return func() { <-handing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// A giving is a Handover under way.
type giving struct {
	server    *Server
	link      *handover.Link
	listeners []*listener
	handed    Handed

	// While loops stand still, this goroutine may touch what is theirs.
	standing chan *loop
	over     chan struct{} // closed when they go on
	moved    bool          // what it was for has come about; read once over is closed
	moving   []moving      // by ID
	present  int           // connections

	frame       []byte
	descriptors []int
	version     uint64  // of the format
	ahead       []ahead // by loop: what goes ahead
	sharing     bool    // Hand was called, and Handed is to be
	rearms      bool    // of the handler that was asked last
}

// A moving is a connection that was offered to the other process.
type moving struct {
	c       *Conn // nil: refused, or withdrawn
	queued  int   // bytes of its queue that were offered
	traffic int64 // if it went ahead: what it had had then
	flags   flags
	joined  bool // the next one is the other of its Pipe
}

// withNext returns the first of list, and the second if the two are joined.
func withNext(list []moving) []moving {
	if list[0].joined {
		return list[:2]
	}
	return list[:1]
}

// An ahead is what a loop gives away before it stands still. Only the loop touches it until then.
type ahead struct {
	seen    []seen    // when the handover began, and not looked at again
	waiting [][]*Conn // are watched for nothing, and not offered yet: each alone, or the two of a Pipe
	held    []*Conn   // all that are watched for nothing
	tries   int       // steps in which nothing came of waiting
}

// A seen is a connection, and what traffic it had had.
type seen struct {
	c       *Conn
	traffic int64
}

// traffic returns how many bytes c has received and sent, or taken to be sent.
func (c *Conn) traffic() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received.Load() + c.sent + int64(c.queue.Len())
}

func (h *giving) run() error {
	h.look()
	h.link.SetDeadline(time.Now().Add(handoverPatience))
	if err := h.greet(); err != nil {
		return err
	}
	if err := h.offerListeners(); err != nil {
		return err
	}
	defer h.goOn()
	h.link.SetDeadline(time.Now().Add(stillLimit))
	if err := h.offerIdle(); err != nil {
		return err
	}
	began := time.Now()
	h.link.SetDeadline(began.Add(stillLimit))
	if err := h.stop(); err != nil {
		return err
	}
	if h.server.stopping.Load() { // Shutdown was called meanwhile: nothing is left for the other process, which would wait for it
		return ErrServerClosed
	}
	if err := h.offerShared(); err != nil {
		return err
	}
	if err := h.offerConns(); err != nil {
		return err
	}
	if err := h.awaitMine(); err != nil {
		return err
	}
	h.link.Commit(time.Now().Add(stillLimit))
	h.sendLate()
	h.moved = true
	h.server.mu.Lock()
	h.server.handedOver.Store(true)
	h.server.tellStopped()
	h.server.mu.Unlock()
	h.handed.Still = time.Since(began)
	h.handed.Listeners = len(h.listeners)
	for _, m := range h.moving {
		if m.c != nil {
			h.handed.Conns++
		}
	}
	h.handed.Stayed = h.present - h.handed.Conns
	return nil
}

// greet agrees on a version of the format.
func (h *giving) greet() error {
	if err := h.link.Send(handover.Hello, handover.AppendHello(nil, handover.Oldest, handover.Newest), nil); err != nil {
		return err
	}
	f, err := h.link.Receive(handover.Hello)
	if err != nil {
		return err
	}
	version, _, err := handover.ReadHello(f.Payload)
	if err == nil && (version < handover.Oldest || version > handover.Newest) {
		err = fmt.Errorf("the other process chose version %d of the format, which was not offered", version)
	}
	if err == nil && version < handover.SharedVersion && h.server.Shared != nil {
		err = errors.New("the other process is of an older version, which cannot take over what the connections share: restart without it")
	}
	h.version = version
	return err
}

// look remembers how much traffic connections have had. Those that have no more until the other process is ready are idle.
func (h *giving) look() {
	h.ahead = make([]ahead, len(h.server.loops))
	for i, l := range h.server.loops {
		for _, c := range l.snapshot() {
			h.ahead[i].seen = append(h.ahead[i].seen, seen{c, c.traffic()})
		}
	}
}

// A part is what a loop gives away in one turn.
type part struct {
	conns   []moving
	records []handover.Conn
	more    bool // there is more to come
}

// offerIdle offers idle connections, some in each turn of their loop, which serves the others meanwhile. It returns when the other
// process has caught up: loops need not stand still for what that takes.
func (h *giving) offerIdle() error {
	if h.version < handover.EarlyVersion || h.server.Shared != nil { // what is shared comes before the first connection
		return nil
	}
	began, busy := time.Now(), time.After(stillLimit)
	for _, l := range h.server.loops {
		for p := (part{more: true}); p.more && time.Since(began) < aheadLimit; {
			parts := make(chan part, 1)
			if !l.give(task{f: func() { parts <- h.goAhead(l) }}) {
				return ErrServerClosed
			}
			select {
			case p = <-parts:
			case <-busy:
				return errBusy
			}
			for at := 0; at < len(p.conns); {
				both := withNext(p.conns[at:])
				if err := h.put(both, p.records[at:at+len(both)]); err != nil {
					return err
				}
				at += len(both)
			}
			if err := h.sendFrame(); err != nil {
				return err
			}
		}
	}
	if len(h.moving) == 0 || h.version < handover.AheadVersion {
		return nil
	}
	h.link.SetDeadline(time.Now().Add(stillLimit))
	if err := h.link.Send(handover.Ahead, nil, nil); err != nil {
		return err
	}
	_, err := h.link.Receive(handover.Ready)
	return err
}

// goAhead has some idle connections of l be watched for nothing, and returns those of which nothing is under way any more. It runs
// on l.
func (h *giving) goAhead(l *loop) (p part) {
	const mostTries = 100
	a := &h.ahead[l.number]
	if isClosed(h.over) {
		return p
	}
	for n := 0; n < someIdle && len(a.seen) > 0 && len(a.waiting) < someIdle; n++ {
		c, traffic := a.seen[0].c, a.seen[0].traffic
		a.seen = a.seen[1:]
		both := h.idle(c, traffic)
		for _, c := range both {
			c.wait()
		}
		if a.held = append(a.held, both...); len(both) > 0 {
			a.waiting = append(a.waiting, both)
		}
	}
	left := a.waiting[:0]
	for _, both := range a.waiting {
		open, quiet := true, true
		for _, c := range both {
			open = open && c.state == stateOpen
			quiet = quiet && open && l.engine.Quiet(&c.line)
		}
		var conns []moving
		var records []handover.Conn
		if open && !quiet && a.tries < mostTries {
			left = append(left, both)
			continue
		}
		if open && quiet && !slices.ContainsFunc(both, func(c *Conn) bool { return c.todo != 0 }) {
			conns, records = h.describe(both)
		}
		if conns == nil {
			for _, c := range both {
				c.waitNoMore()
				c.flush()
			}
		}
		p.conns, p.records = append(p.conns, conns...), append(p.records, records...)
	}
	if a.waiting = left; len(left) > 0 {
		a.tries++
	} else {
		a.tries = 0
	}
	p.more = len(a.seen)+len(left) > 0
	return p
}

// idle returns c if it can go ahead, and with it the other connection of its Pipe; nil if it cannot. c has had this much traffic a
// while ago.
func (h *giving) idle(c *Conn, traffic int64) []*Conn {
	if c.traffic() != traffic { // of a Pipe this tells of both connections
		return nil
	}
	if p, ok := c.handler.(*pipe); ok && (h.version < handover.AheadVersion || p.to.loop != c.loop) { // another loop turns as well
		return nil
	}
	both := pairOf(c)
	for _, c := range both {
		if c.inflowNow() != nil || c.state != stateOpen || c.todo != 0 || c.marked(movingMark) || c.line.Watched() != engine.Read || !c.canMove(false) || !c.movesEarly() {
			return nil
		}
	}
	return both
}

// movesEarly asks the handler of c.
func (c *Conn) movesEarly() (early bool) {
	handler := c.handler
	if p, ok := handler.(*pipe); ok {
		switch handler = p.before; handler.(type) {
		case nil, DataFunc, *FrameHandler:
			return true
		}
	}
	h, ok := handler.(EarlyMover)
	return ok && c.loop.call(c, func() { early = h.MovesEarly(c) }) && early
}

// pairOf returns c, and the other connection of its Pipe if it has one; nil if that is not joined with c. Neither loop turns, or it is
// the caller's.
func pairOf(c *Conn) []*Conn {
	p, ok := c.handler.(*pipe)
	if !ok {
		return []*Conn{c}
	}
	if back, ok := p.to.handler.(*pipe); !ok || back.to != c || p.to.state != stateOpen {
		return nil
	}
	return []*Conn{c, p.to}
}

// wait has c be neither read nor written until waitNoMore.
func (c *Conn) wait() {
	c.marks.Or(movingMark)
	c.mu.Lock()
	c.out |= blocked
	c.mu.Unlock()
	c.loop.engine.Watch(&c.line, 0)
}

// waitNoMore ends wait, but for what flush does.
func (c *Conn) waitNoMore() {
	c.marks.And(^uint32(movingMark))
	c.mu.Lock()
	c.out &^= blocked
	c.mu.Unlock()
}

// settle withdraws the connections that have changed since they went ahead. Loops stand still.
func (h *giving) settle() error {
	var withdrawn []uint64
	for id := 0; id < len(h.moving); {
		both := withNext(h.moving[id:])
		changed := slices.ContainsFunc(both, func(m moving) bool {
			return !m.c.canMove(false) || m.c.todo != 0 || m.c.traffic() != m.traffic || m.c.flags != m.flags
		})
		for i := range both {
			if m := &both[i]; changed {
				m.c.waitNoMore()
				m.c = nil
				withdrawn = append(withdrawn, uint64(id+i))
			}
		}
		id += len(both)
	}
	for i := range h.ahead {
		for _, c := range slices.Concat(h.ahead[i].waiting...) {
			c.waitNoMore()
		}
	}
	if len(withdrawn) == 0 {
		return nil
	}
	return h.link.Send(handover.Withdrawn, handover.AppendIDs(nil, withdrawn), nil)
}

// offerListeners gives the other process the listeners, which it does not accept from yet.
func (h *giving) offerListeners() error {
	h.server.mu.Lock()
	for ln := range h.server.listeners {
		h.listeners = append(h.listeners, ln)
	}
	h.server.mu.Unlock()
	slices.SortFunc(h.listeners, func(a, b *listener) int { return int(a.number) - int(b.number) })
	if len(h.listeners) > handover.MaxListeners {
		return fmt.Errorf("%d listeners are more than %d", len(h.listeners), handover.MaxListeners)
	}
	var p []byte
	var descriptors []int
	for _, ln := range h.listeners {
		p = handover.AppendListener(p, handover.Listener{Network: ln.addr.Network(), Address: ln.addr.String(), TLS: ln.tls != nil})
		descriptors = append(descriptors, ln.line.FD)
	}
	if err := h.link.Send(handover.Listeners, p, descriptors); err != nil {
		return err
	}
	_, err := h.link.Receive(handover.Ready)
	return err
}

// stop stops accepting, and then has all loops stand still: what was accepted has come to its loop by then.
func (h *giving) stop() error {
	deadline := time.After(stillLimit)
	held := make(chan struct{}, len(h.listeners))
	for _, ln := range h.listeners {
		f := func() {
			if !isClosed(h.over) {
				ln.hold()
			}
			held <- struct{}{}
		}
		if !ln.loop.give(task{f: f}) {
			return ErrServerClosed
		}
	}
	for range h.listeners {
		select {
		case <-held:
		case <-deadline:
			return errBusy
		}
	}
	h.standing = make(chan *loop, len(h.server.loops))
	for _, l := range h.server.loops {
		if !l.give(task{f: func() { h.stand(l, 0) }}) {
			return ErrServerClosed
		}
	}
	for range h.server.loops {
		select {
		case <-h.standing:
		case <-deadline:
			return errBusy
		}
	}
	return nil
}

var errBusy = fmt.Errorf("a handler has held its loop for %v", stillLimit)

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// stand has l stand still until the handover is over. What it was asked to do is done before, as it concerns connections that
// may be gone after that.
func (h *giving) stand(l *loop, tries int) {
	const most = 100 // for a loop that is given more and more
	if isClosed(h.over) {
		return
	}
	l.engine.Still()
	l.mu.Lock()
	more := len(l.given)+len(l.posted)+l.tasks.Len()+l.arrived.Len() > 0
	l.mu.Unlock()
	if more && tries < most {
		l.give(task{f: func() { h.stand(l, tries+1) }})
		return
	}
	h.standing <- l
	<-h.over
	if h.moved {
		h.depart(l)
	}
}

// goOn has the loops go on.
func (h *giving) goOn() {
	for _, m := range h.moving {
		if m.c != nil && !h.moved {
			m.c.marks.And(^uint32(movingMark))
		}
	}
	if h.sharing {
		h.server.Shared.Handed(h.moved)
	}
	close(h.over)
	for i, l := range h.server.loops {
		l.give(task{f: func() {
			for _, c := range h.ahead[i].held {
				if c.state != stateGone {
					c.waitNoMore()
					c.flush()
				}
			}
		}})
	}
	for _, ln := range h.listeners {
		if !h.moved {
			ln.loop.give(task{f: ln.release})
		}
	}
	for _, l := range h.server.loops { // Closed has been called when Handover returns
		done := make(chan struct{})
		if h.moved && l.give(task{f: func() { close(done) }}) {
			select {
			case <-done:
			case <-l.done:
			}
		}
	}
}

// offerShared gives the other process what the handlers share.
func (h *giving) offerShared() error {
	if h.server.Shared == nil {
		return nil
	}
	st, file, err := h.server.Shared.Hand(h.server)
	if err != nil {
		return err
	}
	h.sharing = true
	var descriptors []int
	if file != nil {
		defer file.Close()
		descriptors = []int{int(file.Fd())}
	}
	if st.Version < 0 || len(st.Data) > handover.MaxShared || len(st.Kind) > 1<<10 {
		return fmt.Errorf("what the handlers share is %d bytes long, and at most %d can move", len(st.Data), handover.MaxShared)
	}
	const piece = 1 << 20
	p := handover.AppendShared(nil, handover.State{Kind: st.Kind, Version: uint64(st.Version)})
	for data := st.Data; ; {
		n := min(len(data), piece)
		if err := h.link.Send(handover.Shared, append(p, data[:n]...), descriptors); err != nil {
			return err
		}
		if data = data[n:]; len(data) == 0 {
			return nil
		}
		p, descriptors = p[:0], nil
	}
}

// offerConns offers all the connections that can move and have not gone ahead.
func (h *giving) offerConns() error {
	if err := h.settle(); err != nil {
		return err
	}
	for _, l := range h.server.loops {
		for line := range l.conns.All() {
			c := connOf(line)
			h.present++
			if c.marked(movingMark) {
				continue
			}
			if err := h.offer(c); err != nil {
				return err
			}
		}
	}
	if err := h.sendFrame(); err != nil {
		return err
	}
	return h.link.Send(handover.End, nil, nil)
}

// offer offers c if it can move, and with it the other connection of its Pipe.
func (h *giving) offer(c *Conn) error {
	conns, records := h.describe(pairOf(c))
	if conns == nil {
		return nil
	}
	return h.put(conns, records)
}

// describe makes the records of connections that move together; nil if they cannot.
func (h *giving) describe(both []*Conn) (conns []moving, records []handover.Conn) {
	records = make([]handover.Conn, len(both))
	for i, c := range both {
		r := &records[i]
		if !h.record(c, r) {
			return nil, nil
		}
		joined := i < len(both)-1
		if joined {
			r.Flags |= handover.Joined
		}
		conns = append(conns, moving{c, len(r.Output), c.traffic(), c.flags, joined})
	}
	return conns, records
}

// put puts the records of connections that stay together into a frame, which is sent before if it is full.
func (h *giving) put(both []moving, records []handover.Conn) error {
	size := 0
	for i := range records {
		size += len(records[i].Input) + len(records[i].Output) + len(records[i].State.Data) + 1<<10
	}
	if size > handover.MaxFrame {
		return nil
	}
	if len(h.descriptors)+len(both) > handover.MaxConns || len(h.frame) > 0 && len(h.frame)+size > frameBytes {
		if err := h.sendFrame(); err != nil {
			return err
		}
	}
	for i, m := range both {
		records[i].ID = uint64(len(h.moving))
		h.frame = handover.AppendConn(h.frame, &records[i])
		h.descriptors = append(h.descriptors, int(m.c.line.FD))
		h.moving = append(h.moving, m)
		m.c.marks.Or(movingMark)
	}
	return nil
}

func (h *giving) sendFrame() error {
	if len(h.descriptors) == 0 {
		return nil
	}
	err := h.link.Send(handover.Conns, h.frame, h.descriptors)
	h.frame, h.descriptors = h.frame[:0], h.descriptors[:0]
	return err
}

// awaitMine waits until the other process has taken what it was offered. If it does not, it cannot any more when awaitMine
// returns.
func (h *giving) awaitMine() error {
	f, err := h.link.Receive(handover.Mine)
	if err != nil {
		var late error
		if f, late = h.link.ReceiveLast(handover.Mine); late != nil {
			return err
		}
	}
	why, refused, err := handover.ReadMine(f.Payload)
	if err != nil {
		return err
	}
	h.handed.Why = why
	for _, id := range refused {
		if id < uint64(len(h.moving)) && h.moving[id].c != nil {
			h.moving[id].c.marks.And(^uint32(movingMark))
			h.moving[id].c = nil
		}
	}
	return nil
}

// sendLate gives the other process what other goroutines have written since the queues were offered, and refuses what they
// write from now on. Errors do not matter any more.
func (h *giving) sendLate() {
	var frame, queue []byte
	for id, m := range h.moving {
		c := m.c
		if c == nil {
			continue
		}
		c.mu.Lock()
		c.out |= closed
		if n := c.queue.Len(); n > m.queued {
			queue = c.queue.AppendTo(queue[:0], n)
			frame = handover.AppendPiece(frame, handover.Piece{ID: uint64(id), Output: queue[m.queued:]})
		}
		c.queue.Drop(c.queue.Len())
		c.mu.Unlock()
		if len(frame) >= frameBytes {
			h.link.Send(handover.Late, frame, nil)
			frame = frame[:0]
		}
	}
	if len(frame) > 0 {
		h.link.Send(handover.Late, frame, nil)
	}
	h.link.Send(handover.Late, nil, nil)
}

// depart ends on l what has moved.
func (h *giving) depart(l *loop) {
	for _, ln := range h.listeners {
		if ln.loop == l {
			ln.stop()
			ln.end(ErrMoved)
		}
	}
	for _, m := range h.moving {
		if m.c != nil && m.c.loop == l {
			l.engine.Watch(&m.c.line, 0) // the descriptor lives on in the other process: closing it would not end that
			m.c.finish(ErrMoved)
		}
	}
}

// record fills in the record of c, and tells whether c can move.
func (h *giving) record(c *Conn, r *handover.Conn) bool {
	l := c.loop
	handler := c.handler
	p, piped := handler.(*pipe)
	if piped {
		handler = p.before
	}
	if !c.canMove(true) || !h.ask(c, handler, piped, r) || !c.canMove(h.rearms) || !c.emptyInflow() {
		return false
	}
	set := func(f handover.Flags, is bool) {
		if is {
			r.Flags |= f
		}
	}
	set(handover.Dialled, c.flags&dialled != 0)
	set(handover.InputEnded, c.flags&inputEnded != 0)
	set(handover.EndTold, c.flags&endTold != 0)
	set(handover.OutputEnded, c.out&noOutput != 0)
	set(handover.EndSent, c.out&endSent != 0)
	set(handover.Paused, c.flags&paused != 0 && !piped) // of a Pipe that follows from the queues
	set(handover.Full, c.marked(fullMark) || c.todo&todoDrain != 0)
	set(handover.KeepsReading, c.flags&keepsReading != 0)
	now := l.clock()
	r.Age, r.Received = uint64(max(now-c.born, 0)), uint64(c.Received())
	if l.limits.IdleTimeout > 0 || l.limits.HalfCloseTimeout > 0 {
		r.Idle = uint64(max(now-c.movedAt(), 0))
	}
	if more := c.more.Load(); more != nil {
		if addr := more.remote.Load(); addr != nil {
			r.Network, r.Peer = (*addr).Network(), (*addr).String()
		}
	}
	if c.in != nil {
		r.Input = c.in.B
	}
	c.mu.Lock()
	r.Sent = uint64(c.sent)
	r.Output = c.queue.AppendTo(nil, c.queue.Len())
	c.mu.Unlock()
	return true
}

// canMove tells whether c itself is in a state that can move. rearms tells whether its handler calls WhenSent anew.
func (c *Conn) canMove(rearms bool) bool {
	const not = secured | rejected | leaving | endsFree | cutOff | upgraded
	more := c.more.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateOpen && c.flags&not == 0 && !c.marked(stopMark) && c.ending == nil && c.out&(closed|sealed|inBatch) == 0 &&
		(more == nil || more.dial == nil && more.target == nil && more.stream == nil && (rearms || len(more.onSent) == 0) && more.holds.Load() == 0)
}

// ask asks the handler of c for its state. Handlers of the package that only fill a Pipe's place have none.
func (h *giving) ask(c *Conn, handler Handler, piped bool, r *handover.Conn) bool {
	h.rearms = false
	switch handler.(type) {
	case nil, DataFunc, *FrameHandler:
		return piped
	}
	m, ok := handler.(Mover)
	if !ok {
		return false
	}
	var st HandlerState
	var err error
	if !c.loop.call(c, func() { st, err = m.Move(c) }) || err != nil || st.Version < 0 || len(st.Data) > handover.MaxState || len(st.Kind) > 1<<10 {
		return false
	}
	h.rearms = st.Rearms
	r.Flags |= handover.Handled
	r.State = handover.State{Kind: st.Kind, Version: uint64(st.Version), Data: st.Data}
	return true
}

// emptyInflow moves what is in the kernel pipe of c into its queue, and tells whether c can move then.
func (c *Conn) emptyInflow() bool {
	if p, ok := c.handler.(*pipe); ok { // what comes next must not overtake the queue
		p.to.stopSplicing()
	}
	f := c.inflowNow()
	if f == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make([]byte, f.holds)
	for at := 0; at < len(held); {
		n, err := handover.ReadPipe(f.r, held[at:])
		if n <= 0 || err != nil {
			c.breakOff("read", syscall.EIO) // the order of what is left is lost
			c.later(0)
			return false
		}
		at += n
	}
	f.holds = 0
	c.queue.PutBack(held)
	return true
}
