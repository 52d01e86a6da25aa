package websocket

import (
	"time"

	"github.com/switchboard-go/switchboard"
)

// A waitlist holds connections of one loop that wait for the same length of time, the one that has waited longest first.
// A connection is in one list at most, and costs nothing more there than the fields that it has anyway: one timer, on the
// connection that happened to need it, serves the whole list. It belongs to the loop.
type waitlist struct {
	timeout     time.Duration // not more than 0: nobody waits
	expired     func(c *Conn) // c is in no list then
	first, last *Conn
	host        *Conn // whose timer it is
	timer       *switchboard.Timer
}

// A listed says which of its loop's lists a connection is in.
type listed uint8

const (
	inNone      listed = iota
	inHandshake        // the opening handshake is under way
	inOpen             // it may be sent a ping
	inClosing          // the peer owes a Close frame, or a server the end of TCP
)

// A timestamp is milliseconds since the loop's settings began, modulo 1<<32: two are compared by their difference.
type timestamp uint32

func (l *loop) now() timestamp { return timestamp(time.Since(l.start) / time.Millisecond) }

// enter puts c at the end of a list, and takes it out of the one that it is in.
func (c *Conn) enter(in listed) {
	c.leaveList()
	w := &c.loop.lists[in]
	if w.timeout <= 0 {
		return
	}
	c.until = c.loop.now() + timestamp((w.timeout+time.Millisecond-1)/time.Millisecond) + 1
	c.listed = in
	c.prev = w.last
	if w.last != nil {
		w.last.next = c
	} else {
		w.first = c
	}
	w.last = c
	if w.timer == nil {
		w.setTimer(c)
	}
}

// leaveList takes c out of its list, if it is in one.
func (c *Conn) leaveList() {
	if c.listed == inNone {
		return
	}
	w := &c.loop.lists[c.listed]
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		w.last = c.prev
	}
	c.prev, c.next, c.listed = nil, nil, inNone
}

// setTimer has a timer of c fire when the first connection has waited long enough.
func (w *waitlist) setTimer(c *Conn) {
	w.host = c
	w.timer = c.conn.After(w.wait(), w.fire)
}

// wait returns how long the first connection is still to wait.
func (w *waitlist) wait() time.Duration {
	return time.Duration(int32(w.first.until-w.first.loop.now())) * time.Millisecond
}

// fire lets those go that have waited long enough. It takes no more of them than were there when it began.
func (w *waitlist) fire() {
	if w.first == nil {
		w.host, w.timer = nil, nil
		return
	}
	now, end := w.first.loop.now(), w.last
	for c := w.first; c != nil && int32(c.until-now) <= 0; c = w.first {
		c.leaveList()
		w.expired(c)
		if c == end {
			break
		}
	}
	switch {
	case w.timer == nil: // its host is gone meanwhile
	case w.first == nil:
		w.host, w.timer = nil, nil
	default:
		w.timer.Reset(w.wait())
	}
}

// leaveLists is called when c is gone: out of its list, and its timers with it.
func (c *Conn) leaveLists() {
	c.leaveList()
	for i := range c.loop.lists {
		w := &c.loop.lists[i]
		if w.host != c {
			continue
		}
		w.timer.Stop()
		w.host, w.timer = nil, nil
		if w.first != nil {
			w.setTimer(w.first)
		}
	}
}
