package switchboard

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/handover"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Takeover receives the listeners and connections of the process at the other end of from, which calls Handover, and serves
// them. It returns when they are here. Server.Moved makes the handlers of the connections. New connections get theirs from
// Accept and Handler, as those of ListenAndServe do. Listeners that spoke TLS speak it with Server.TLSConfig.
//
// If Takeover returns an error, the other process goes on serving everything. A handover counts from one moment on for both
// processes, whatever happens to either.
//
// The listeners are served until Shutdown or Close; no call of Serve waits for them. If one fails, the log says so. Takeover
// does not close from. It must not be called on a loop. It is for Linux; elsewhere the error is errors.ErrUnsupported.
func (s *Server) Takeover(ctx context.Context, from *net.UnixConn) (Handed, error) {
	h := &taking{server: s, link: handover.NewLink(from)}
	handed, err := h.begin(ctx)
	if err != nil {
		return Handed{}, fmt.Errorf("switchboard: takeover: %w", cmp.Or(context.Cause(ctx), err))
	}
	return handed, nil
}

// A taking is a Takeover under way.
type taking struct {
	server    *Server
	link      *handover.Link
	listeners []*listener
	conns     []*taken // by ID
	frames    []int    // which of conns are the first of a frame
	refused   []uint64
	why       string

	shared  []byte // what the other process's handlers share
	file    *os.File
	sharing bool // Take was called, and Taken is to be
}

// A taken is a connection that is about to come over.
type taken struct {
	c       *Conn
	record  handover.Conn // without its Input and Output
	descr   int           // -1: it did not come
	other   *taken        // of a Pipe
	handler Handler
	err     error // why it is refused
	gone    bool  // it is offered no more
}

func (h *taking) begin(ctx context.Context) (handed Handed, err error) {
	s := h.server
	if s.kernel != nil {
		return Handed{}, errors.ErrUnsupported
	}
	defer h.link.Close()
	defer context.AfterFunc(ctx, h.link.Expire)()
	defer func() {
		if err != nil {
			if _, theirs := errors.AsType[*handover.RefusedError](err); !theirs {
				h.link.SetDeadline(time.Now().Add(time.Second))
				h.link.Send(handover.Refused, []byte(err.Error()), nil)
			}
			if h.sharing {
				s.Shared.Taken(false)
			}
			h.abandon()
		}
	}()
	h.link.SetDeadline(time.Now().Add(handoverPatience))
	if err := h.greet(); err != nil {
		return Handed{}, err
	}
	if s.Accept == nil && s.Handler == nil {
		return Handed{}, errors.New("Server.Handler and Server.Accept are nil: set one to serve connections")
	}
	if _, err := s.run(); err != nil {
		return Handed{}, err
	}
	done, err := s.inTurn(ctx)
	if err != nil {
		return Handed{}, err
	}
	defer done()
	defer h.arrived()
	if err := h.takeListeners(); err != nil {
		return Handed{}, err
	}
	if err := h.takeConns(); err != nil {
		return Handed{}, err
	}
	if !h.link.Commit(time.Now().Add(stillLimit)) {
		return Handed{}, context.Cause(ctx)
	}
	if err := h.link.Send(handover.Mine, handover.AppendMine(nil, h.why, h.refused), nil); err != nil {
		return Handed{}, err
	}
	// From here on everything is this process's.
	late := h.receiveLate()
	if h.sharing {
		s.Shared.Taken(true)
	}
	return h.serve(late), nil
}

// greet chooses the version of the format.
func (h *taking) greet() error {
	f, err := h.link.Receive(handover.Hello)
	if err != nil {
		return err
	}
	oldest, newest, err := handover.ReadHello(f.Payload)
	if err != nil {
		return err
	}
	if newest < handover.Oldest || oldest > handover.Newest {
		return fmt.Errorf("the other process speaks the versions %d to %d of the format, this one %d to %d: restart in smaller steps",
			oldest, newest, handover.Oldest, handover.Newest)
	}
	version := min(uint64(handover.Newest), newest)
	return h.link.Send(handover.Hello, handover.AppendHello(nil, version, version), nil)
}

// takeListeners makes listeners of those that come, which do not accept yet.
func (h *taking) takeListeners() error {
	f, err := h.link.Receive(handover.Listeners)
	if err != nil {
		return err
	}
	for _, fd := range f.Descriptors {
		h.listeners = append(h.listeners, &listener{line: engine.Listener{FD: fd}})
	}
	all, err := handover.ReadListeners(f.Payload)
	if err != nil {
		return err
	}
	if len(all) != f.Sent {
		return handover.ErrFormat
	}
	if len(f.Descriptors) < len(all) {
		return errors.New("there are too few descriptors for the listeners: raise the limit with ulimit -n")
	}
	for i, l := range all {
		ln := h.listeners[i]
		if l.Network == "unix" {
			ln.addr = &net.UnixAddr{Name: l.Address, Net: "unix"}
		} else if ln.addr, err = net.ResolveTCPAddr(l.Network, l.Address); err != nil {
			return err
		}
		if l.TLS {
			if ln.tls = h.server.TLSConfig; ln.tls == nil {
				return fmt.Errorf("the listener %s speaks TLS, and Server.TLSConfig is nil", l.Address)
			}
		}
		if err := checkTLS(ln.tls); err != nil {
			return err
		}
		h.server.mu.Lock()
		ln.origin, ln.coming = h.server.originOf(ln), true
		h.server.mu.Unlock()
	}
	return h.link.Send(handover.Ready, nil, nil)
}

// arrived tells that the listeners have begun, or never will.
func (h *taking) arrived() {
	h.server.mu.Lock()
	defer h.server.mu.Unlock()
	for _, ln := range h.listeners {
		ln.coming = false
	}
}

// takeConns makes connections of those that come, which are not served yet.
func (h *taking) takeConns() error {
	for {
		f, err := h.link.Receive(handover.Shared, handover.Conns, handover.Ahead, handover.Withdrawn, handover.End)
		if err != nil {
			return err
		}
		if f.Kind == handover.Ahead {
			if err := h.findHandlers(); err != nil {
				return err
			}
			if err := h.link.Send(handover.Ready, nil, nil); err != nil {
				return err
			}
			continue
		}
		if f.Kind == handover.Shared {
			if err := h.takeShared(f); err != nil {
				return err
			}
			continue
		}
		if err := h.haveShared(); err != nil {
			handover.CloseAll(f.Descriptors)
			return err
		}
		if f.Kind == handover.End {
			break
		}
		if f.Kind == handover.Withdrawn {
			if err := h.withdraw(f.Payload); err != nil {
				return err
			}
			continue
		}
		records, err := handover.ReadConns(f.Payload)
		if err == nil && len(records) != f.Sent {
			err = handover.ErrFormat
		}
		if err != nil {
			handover.CloseAll(f.Descriptors)
			return err
		}
		n := len(h.conns)
		h.frames = append(h.frames, n)
		if !h.take(records, f.Descriptors) {
			return handover.ErrFormat
		}
		if err := h.askHandlers(h.conns[n:]); err != nil {
			return err
		}
	}
	if err := h.findHandlers(); err != nil {
		return err
	}
	for _, t := range h.conns {
		if t.gone {
			continue
		}
		if t.err == nil && t.other != nil {
			t.err = t.other.err
		}
		if t.err != nil {
			h.refused = append(h.refused, t.record.ID)
			h.why = cmp.Or(h.why, t.err.Error())
		}
	}
	return nil
}

// withdraw lets go of the connections whose IDs are in p.
func (h *taking) withdraw(p []byte) error {
	ids, err := handover.ReadIDs(p)
	if err != nil {
		return err
	}
	for _, id := range ids {
		i, found := slices.BinarySearchFunc(h.conns, id, func(t *taken, id uint64) int { return cmp.Compare(t.record.ID, id) })
		if !found {
			return handover.ErrFormat
		}
		if t := h.conns[i]; !t.gone {
			t.gone = true
			t.drop(ErrNotMoved)
		}
	}
	if slices.ContainsFunc(h.conns, func(t *taken) bool { return t.other != nil && t.other.gone && !t.gone }) {
		return handover.ErrFormat
	}
	return nil
}

// takeShared gathers what the handlers share.
func (h *taking) takeShared(f handover.Frame) error {
	for _, fd := range f.Descriptors {
		if h.file != nil {
			h.file.Close()
		}
		h.file = os.NewFile(uintptr(fd), "shared")
	}
	if h.sharing || f.Sent > 1 || len(h.shared)+len(f.Payload) > handover.MaxShared+1<<20 {
		return handover.ErrFormat
	}
	if len(f.Descriptors) < f.Sent {
		return errors.New("there are too few descriptors: raise the limit with ulimit -n")
	}
	h.shared = append(h.shared, f.Payload...)
	return nil
}

// haveShared gives Server.Shared what has come, once.
func (h *taking) haveShared() error {
	if h.shared == nil {
		return nil
	}
	st, err := handover.ReadShared(h.shared)
	if err != nil {
		return err
	}
	if h.server.Shared == nil {
		return fmt.Errorf("the connections of the other process share %q, and Server.Shared is nil", st.Kind)
	}
	file := h.file
	h.shared, h.file = nil, nil
	if err := h.server.Shared.Take(HandlerState{Kind: st.Kind, Version: int(st.Version), Data: st.Data}, file); err != nil {
		return err
	}
	h.sharing = true
	return nil
}

// take makes the connections of one frame, and tells whether their IDs rise: refusing one would be refusing another otherwise.
// Both connections of a Pipe get one loop.
func (h *taking) take(records []handover.Conn, descriptors []int) (rise bool) {
	var before *taken
	rise = true
	for i := range records {
		t := &taken{record: records[i], descr: -1}
		if i < len(descriptors) {
			t.descr = descriptors[i]
		} else {
			t.err = errors.New("there are too few descriptors: raise the limit with ulimit -n")
		}
		if before != nil && before.record.Flags&handover.Joined != 0 {
			t.other, before.other = before, t
			t.make(before.c.loop, h.listeners)
		} else {
			t.make(h.server.quietest(nil), h.listeners)
		}
		if n := len(h.conns); n > 0 && h.conns[n-1].record.ID >= t.record.ID {
			rise = false
		}
		h.conns = append(h.conns, t)
		before = t
	}
	return rise
}

// takenFlags are those that the wire and a Conn have in common.
var takenFlags = [...]struct {
	there handover.Flags
	here  flags
}{{handover.InputEnded, inputEnded}, {handover.EndTold, endTold}, {handover.Paused, paused}, {handover.KeepsReading, keepsReading}}

// make makes the connection. Until it is served, writing only fills its queue.
func (t *taken) make(l *loop, listeners []*listener) {
	r := &t.record
	var peer rawio.Peer
	var addr net.Addr
	if t.descr >= 0 {
		peer, _ = l.kernel.PeerName(t.descr)
	}
	switch r.Network {
	case "":
	case "unix":
		addr = &net.UnixAddr{Name: r.Peer, Net: "unix"}
	case "udp": // in a header of the PROXY protocol
		if a, err := net.ResolveUDPAddr(r.Network, r.Peer); err == nil {
			addr = a
		}
	default:
		if a, err := net.ResolveTCPAddr(r.Network, r.Peer); err == nil {
			addr = a
		}
	}
	origin := uint32(0)
	if r.Flags&handover.Dialled == 0 && t.descr >= 0 {
		origin = originAt(netAddr(l.kernel.LocalName(t.descr)), listeners)
	}
	c := newConn(l, t.descr, peer, origin)
	t.c = c
	if addr != nil {
		c.extra().setRemote(addr)
	}
	if r.Flags&handover.Dialled != 0 {
		c.flags |= dialled
	} else {
		l.server.accepted.Add(1)
	}
	c.out |= blocked
	for _, f := range takenFlags {
		if r.Flags&f.there != 0 {
			c.flags |= f.here
		}
	}
	if r.Flags&handover.OutputEnded != 0 {
		c.out |= noOutput
	}
	if r.Flags&handover.EndSent != 0 {
		c.out |= endSent
	}
	if r.Flags&handover.Full != 0 {
		c.marks.Or(fullMark)
	}
	c.born -= int64(r.Age)
	c.active.Store(l.clock() - int64(r.Idle))
	c.received.Store(int64(r.Received))
	c.sent = int64(r.Sent)
	c.queue.Add(r.Output)
	if len(r.Input) > 0 {
		c.in = buffer.Append(nil, r.Input)
		if len(r.Input) >= l.limits.InputLimit {
			c.flags |= inputFull
		}
	}
	r.Input, r.Output = nil, nil // parts of the frame, which is another's soon
	r.State.Data = bytes.Clone(r.State.Data)
}

// askHandlers asks Server.Moved for the handlers of connections, each on its loop.
func (h *taking) askHandlers(list []*taken) error {
	for _, l := range h.server.loops {
		f := func() {
			for _, t := range list {
				if t.c.loop == l && t.err == nil {
					t.findHandler()
				}
			}
		}
		if !l.give(task{f: f}) {
			return ErrServerClosed
		}
	}
	return nil
}

// findHandlers waits until Server.Moved was asked for all handlers.
func (h *taking) findHandlers() error {
	done := make(chan struct{}, len(h.server.loops))
	for _, l := range h.server.loops {
		if !l.give(task{f: func() { done <- struct{}{} }}) {
			return ErrServerClosed
		}
	}
	patience := time.After(handoverPatience)
	for range h.server.loops {
		select {
		case <-done:
		case <-patience:
			return errors.New("a handler holds its loop")
		}
	}
	return nil
}

func (t *taken) findHandler() {
	c, r := t.c, &t.record
	s := c.loop.server
	switch {
	case r.Flags&handover.Handled == 0 && t.other != nil:
		return
	case s.Moved == nil:
		t.err = errors.New("Server.Moved is nil")
		return
	}
	t.err = errors.New("Server.Moved did not return") // if it does not
	st := HandlerState{Kind: r.State.Kind, Version: int(r.State.Version), Data: r.State.Data}
	returned := c.loop.call(c, func() { t.handler, t.err = s.Moved(c, st) })
	switch {
	case !returned:
		t.err = fmt.Errorf("Server.Moved panicked: %w", c.endedFor())
	case t.err == nil && t.handler == nil:
		t.err = errors.New("Server.Moved returned no handler")
	case t.err == nil:
		t.err = s.limits.check(t.handler)
	}
	r.State = handover.State{}
}

// receiveLate receives what was written in the other process while the connections were on their way. That the other process is
// gone does not matter any more.
func (h *taking) receiveLate() map[uint64][]byte {
	late := map[uint64][]byte{}
	for {
		f, err := h.link.Receive(handover.Late)
		if err != nil || len(f.Payload) == 0 {
			return late
		}
		pieces, err := handover.ReadPieces(f.Payload)
		if err != nil {
			return late
		}
		for _, p := range pieces {
			late[p.ID] = append(late[p.ID], p.Output...)
		}
	}
}

// serve begins to serve everything that was not refused.
func (h *taking) serve(late map[uint64][]byte) (handed Handed) {
	s := h.server
	ready := make([][]*taken, len(s.loops))
	for t := range h.lastFirst() {
		if t.err != nil {
			t.drop(ErrNotMoved)
			continue
		}
		if p := late[t.record.ID]; len(p) > 0 {
			t.c.mu.Lock()
			t.c.queue.Add(p)
			t.c.mu.Unlock()
		}
		i := t.c.loop.number
		ready[i] = append(ready[i], t)
		handed.Conns++
	}
	handed.Why = h.why
	var begin sync.WaitGroup
	for _, l := range s.loops {
		begin.Add(1)
		l.giveTaken(ready[l.number], begin.Done)
	}
	s.awaitReadmitted(&begin)
	for _, ln := range h.listeners {
		if err := s.begin(ln); err != nil {
			s.logger().Error("cannot serve a listener that was taken over", "address", ln.addr, "error", err)
			rawio.Close(ln.line.FD)
			continue
		}
		handed.Listeners++
		go func() {
			if err := s.await(ln); !errors.Is(err, ErrServerClosed) {
				s.logger().Error("a listener that was taken over failed", "address", ln.addr, "error", err)
			}
			rawio.Close(ln.line.FD)
		}()
	}
	return handed
}

// lastFirst iterates over the connections that came. Those of the last frame, which are the busy ones, come first.
func (h *taking) lastFirst() iter.Seq[*taken] {
	return func(yield func(*taken) bool) {
		end := len(h.conns)
		for _, at := range slices.Backward(h.frames) {
			for _, t := range h.conns[at:end] {
				if !t.gone && !yield(t) {
					return
				}
			}
			end = at
		}
	}
}

// awaitReadmitted waits until the Readmitters know of all connections, if there are any: before that they would admit too many of
// those that wait in the backlog.
func (s *Server) awaitReadmitted(begin *sync.WaitGroup) {
	if !slices.ContainsFunc(s.Admission, func(a Admitter) bool { _, hears := a.(Readmitter); return hears }) {
		return
	}
	all := make(chan struct{})
	go func() {
		begin.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(stillLimit): // a handler holds its loop
	}
}

// giveTaken has l begin to serve connections, some in each turn, so that it serves the first before it has begun the last. begun
// is called then, or when l does not serve any more.
func (l *loop) giveTaken(list []*taken, begun func()) {
	const some = 64
	if len(list) == 0 {
		begun()
		return
	}
	f := func() {
		n := min(some, len(list))
		for n < len(list) && list[n-1].record.Flags&handover.Joined != 0 {
			n++
		}
		for _, t := range list[:n] {
			t.setHandler()
		}
		for _, t := range list[:n] {
			t.c.beginTaken()
		}
		l.giveTaken(list[n:], begun)
	}
	if !l.give(task{f: f}) {
		for _, t := range list {
			t.drop(ErrServerClosed)
		}
		begun()
	}
}

// setHandler runs on the loop: what Moved has asked for may have come to it already.
func (t *taken) setHandler() {
	c := t.c
	c.handler = t.handler
	if t.other != nil {
		c.handler = &pipe{to: t.other.c, before: t.handler}
		c.flags |= keepsReading
	}
}

// beginTaken begins to serve a connection that another process has served. It runs on the loop.
func (c *Conn) beginTaken() {
	l := c.loop
	if c.state != stateNew {
		return
	}
	l.addConn(c)
	l.count.Taken++
	c.become(stateOpen)
	c.readmit()
	if t := l.server.trace; t != nil && t.Opened != nil {
		l.call(c, func() { t.Opened(c) })
	}
	c.mu.Lock()
	c.out &^= blocked
	if c.pending() >= l.limits.HighWater {
		c.marks.Or(fullMark)
	}
	c.mu.Unlock()
	c.schedule()
	c.later(todoOffer)
	if l.server.stopping.Load() {
		c.flags |= leaving
		c.later(todoLeave)
	}
	c.flush()
}

// drop lets go of a connection that is the other process's. Its peer notices nothing.
func (t *taken) drop(err error) {
	l := t.c.loop
	f := func() {
		c := t.c
		c.mu.Lock()
		c.out |= closed
		c.queue.Drop(c.queue.Len())
		c.mu.Unlock()
		c.become(stateGone)
		c.marks.Or(stopMark)
		if c.in != nil {
			buffer.Put(c.in)
			c.in = nil
		}
		c.stopTimers()
		l.budget.held -= int64(c.weight) * l.budget.unit
		c.weight = 0
		if t.handler != nil {
			l.call(c, func() { t.handler.Closed(c, err) })
		}
		if t.descr >= 0 {
			l.kernel.Close(t.descr)
		}
		l.active.Add(-1)
		if c.flags&dialled == 0 {
			l.server.unclaim()
		}
		l.server.departed()
	}
	if !l.give(task{f: f}) && t.descr >= 0 {
		l.kernel.Close(t.descr)
	}
}

// abandon lets go of everything that has come.
func (h *taking) abandon() {
	if h.file != nil {
		h.file.Close()
	}
	for _, ln := range h.listeners {
		rawio.Close(ln.line.FD)
	}
	for t := range h.lastFirst() {
		t.drop(ErrNotMoved)
	}
}
