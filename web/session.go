package web

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A session is what a connection has only while net/http serves it. All of it is under conn.mu, except the two mutexes and
// the two channels.
type session struct {
	in     []byte // received and not read: in[at:]
	at     int
	header int    // bytes of it that a Read may take, for they are the header of a request; 0: all
	dst    []byte // where the waiting Read wants what is received next; nil: it does not, or there is none
	got    int    // bytes put there

	ended   bool   // the peer has ended its output
	err     error  // the connection is gone
	closed  bool   // Close was called
	cut     bool   // a Write was given up at its deadline
	paused  bool   // the connection is not read because nobody reads here
	endHold func() // of the connection's Hold; nil: it is not held
	users   int    // calls of Read and Write under way

	// What net/http has done since it answered the last request, which tells whether it is idle.
	step   step
	zeroed bool // the last thing it did to read was to set no deadline
	closes int  // calls of Close since Read has told net/http to go

	readUntil, writeUntil   time.Time
	readTimer, writeTimer   *time.Timer
	parkTimer               *time.Timer
	parkDue                 atomic.Bool
	idleUntil               time.Time // what net/http set for the idle time that made it park
	headerUntil, wholeUntil time.Time // when the request's header and the request must be there, if it began while it was parked
	reads                   int       // Reads of the session, up to 2

	scan headerScan // of the request that an idling Read waits for

	reading, writing sync.Mutex    // held by the one Read and the one Write at a time, before conn.mu
	input, room      chan struct{} // a token each, when the waiting Read or Write should look again
}

// A step is how far net/http has come from an answer to waiting for the next request.
type step uint8

const (
	busy       step = iota
	answered        // its hook was told StateIdle
	awaitsNext      // and then it set one deadline: now it reads
)

var sessions = sync.Pool{New: func() any {
	return &session{input: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}}

// keptInput is the largest input buffer that a session keeps for the next connection.
const keptInput = 8 << 10

// release makes s another connection's, unless somebody still waits in it.
func (s *session) release() {
	if s.endHold != nil {
		s.endHold()
		s.endHold = nil
	}
	if s.users > 0 {
		s.closed = true
		s.wakeUsers()
		return
	}
	in := s.in[:0]
	if cap(in) > keptInput {
		in = nil
	}
	select {
	case <-s.input:
	default:
	}
	select {
	case <-s.room:
	default:
	}
	s.in, s.at, s.header, s.dst, s.got = in, 0, 0, nil, 0
	s.ended, s.err, s.closed, s.cut, s.paused = false, nil, false, false, false
	s.step, s.zeroed, s.closes, s.reads, s.scan = busy, false, 0, 0, headerScan{}
	never := time.Time{}
	s.readUntil, s.writeUntil, s.idleUntil, s.headerUntil, s.wholeUntil = never, never, never, never, never
	sessions.Put(s)
}

func (s *session) unread() []byte { return s.in[s.at:] }

// wakeUsers has the waiting Read and the waiting Write look again.
func (s *session) wakeUsers() {
	token(s.input)
	token(s.room)
}

func token(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// put appends p to what is unread.
func (s *session) put(p []byte) {
	if s.at > 0 && len(s.in)+len(p) > cap(s.in) {
		s.in, s.at = s.in[:copy(s.in, s.in[s.at:])], 0
	}
	s.in = append(s.in, p...)
}

// take moves unread input to p.
func (s *session) take(p []byte) int {
	from := s.unread()
	if s.header > 0 {
		from = from[:min(len(from), s.header)]
	}
	n := copy(p, from)
	s.header = max(0, s.header-n)
	if s.at += n; s.at == len(s.in) {
		s.in, s.at = s.in[:0], 0
		if cap(s.in) > keptInput {
			s.in = nil
		}
	}
	return n
}

// wait waits for a token of ch, or for until unless that is zero. conn.mu is held, but not while it waits. timer is the
// place of a timer for ch, made at the first need.
func (c *conn) wait(ch chan struct{}, until time.Time, timer **time.Timer) {
	if !until.IsZero() {
		if left := max(0, time.Until(until)); *timer == nil {
			*timer = time.AfterFunc(left, func() { token(ch) })
		} else {
			(*timer).Reset(left)
		}
	}
	c.mu.Unlock()
	<-ch
	c.mu.Lock()
	if !until.IsZero() {
		(*timer).Stop()
	}
}

// use returns the session for a call of Read or Write, which ends with done. mu is held.
func (c *conn) use(call string) (*session, error) {
	if c.s == nil || c.s.closed {
		return nil, c.failure(call, net.ErrClosed)
	}
	c.s.users++
	return c.s, nil
}
