package classic

import (
	"container/list"
	"errors"
	"io"
	"time"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

// A line is a client of a single-threaded mode. Its socket is non-blocking, and what it cannot take yet is queued.
type line struct {
	*client
	speech io.Reader // nil: none, or at its end
	queue  []byte    // to be sent when the client takes it; nil when empty
	full   bool      // the queue has reached queueLimit and has not been empty since
	ended  bool      // the client has ended its input
	shut   bool      // we have ended our side
	over   bool      // nothing is left to do
	err    error     // why it is over, unless that is in order

	moved time.Time     // when the last byte was
	place *list.Element // in thread.talking, or in thread.leaving once it is shut
}

// wants tells what to wait for: writing only while there is something to write, reading only while there is room for
// the answer. A line that wants nothing is over.
func (l *line) wants() selector.Events {
	var events selector.Events
	if l.over {
		return events
	}
	if !l.ended && !l.full {
		events |= selector.Read
	}
	if l.unsaid() {
		events |= selector.Write
	}
	return events
}

// unsaid tells whether there is something to write.
func (l *line) unsaid() bool { return len(l.queue) > 0 || l.speech != nil }

func (l *line) end(err error) { l.over, l.err = true, err }

// read takes in what the client has sent, at most one piece, so that the others get their turn.
func (t *thread) read(l *line) {
	n, err := l.Recv(t.piece)
	switch {
	case err == nil:
		l.received += int64(n)
		t.touch(l)
		if t.Service.Speech == nil && t.Service.Answer != nil {
			t.say(l, t.Service.Answer(t.piece[:n]))
		}
	case err == io.EOF:
		l.ended = true
	case !errors.Is(err, socket.ErrWouldBlock):
		l.end(err)
	}
	t.finish(l)
}

// write sends what is queued, and after that the next piece of a speech. A server that drains still says one piece,
// which is all of a short speech.
func (t *thread) write(l *line) {
	if l.over {
		return
	}
	if len(l.queue) > 0 {
		n := t.push(l, l.queue)
		if l.queue = l.queue[n:]; len(l.queue) == 0 {
			l.queue, l.full = nil, false
		}
	}
	if len(l.queue) == 0 && l.speech != nil && !l.over {
		n, err := l.speech.Read(t.piece)
		t.say(l, t.piece[:n])
		if err != nil || t.draining() {
			l.speech = nil
		}
	}
	t.finish(l)
}

// say sends what the client takes at once, and queues the rest.
func (t *thread) say(l *line, p []byte) {
	if len(l.queue) == 0 {
		p = p[t.push(l, p):]
	}
	if len(p) > 0 && !l.over {
		l.queue = append(l.queue, p...)
		l.full = l.full || len(l.queue) >= queueLimit
	}
}

func (t *thread) push(l *line, p []byte) int {
	n, err := l.Send(p)
	if n > 0 {
		l.sent += int64(n)
		t.touch(l)
	}
	if err != nil && !errors.Is(err, socket.ErrWouldBlock) {
		l.end(err)
	}
	return n
}

// touch notes that a byte was moved.
func (t *thread) touch(l *line) {
	if !l.shut {
		l.moved = t.now
		t.talking.MoveToBack(l.place)
	}
}

// finish ends a line when all is said: at once if the client has ended its side too. Otherwise what it still sends is
// read and thrown away for a while, because a close that leaves bytes unread is a reset, which can overtake our last
// words.
func (t *thread) finish(l *line) {
	switch {
	case l.over || l.unsaid():
	case l.ended:
		l.over = true
	case t.Service.Speech != nil && !l.shut:
		if err := l.Shutdown(socket.SHUT_WR); err != nil {
			l.end(err)
			return
		}
		l.shut, l.moved = true, t.now
		t.talking.Remove(l.place)
		l.place = t.leaving.PushBack(l)
	}
}
