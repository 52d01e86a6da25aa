package classic

import (
	"container/list"
	"errors"
	"iter"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// A thread is what the single-threaded modes have in common: their clients and the time, but not how they wait.
type thread struct {
	*Server
	piece   []byte     // for every read and every part of a speech
	now     time.Time  // of this turn
	talking *list.List // the lines, the longest silent first
	leaving *list.List // those that were told everything and have not ended their side, the earliest first
	retry   time.Time  // when to accept again after a lack of descriptors; zero when there is none

	listening bool // until the server drains
}

func (s *Server) newThread() *thread {
	t := &thread{
		Server: s, piece: make([]byte, pieceSize), now: time.Now(),
		talking: list.New(), leaving: list.New(), listening: true,
	}
	for _, l := range s.Listeners {
		l.SetBlocking(false)
	}
	return t
}

// accepting tells whether there is room for one more client. While there is not, a listener must not be waited for: it
// stays ready, and the wait would be a spin.
func (t *thread) accepting() bool {
	return t.listening && t.retry.IsZero() && (t.MaxConns == 0 || t.present.Load() < int64(t.MaxConns))
}

// admit accepts the clients that wait at a listener, as many as there is room for and not too many in one turn.
func (t *thread) admit(l *socket.Socket) (newcomers []*line, err error) {
	for t.accepting() && len(newcomers) < admitLimit {
		conn, peer, err := l.Accept()
		switch {
		case err == nil:
			t.scarcity.ends(t.Log)
			newcomers = append(newcomers, t.newLine(conn, peer))
		case errors.Is(err, socket.ErrWouldBlock):
			return newcomers, nil
		case isScarcity(err):
			t.scarcity.begins(t.Log, err)
			t.retry = t.now.Add(retryPeriod)
		case !isPassing(err):
			return newcomers, err
		}
	}
	return newcomers, nil
}

func (t *thread) newLine(conn *socket.Socket, peer socket.Addr) *line {
	conn.SetBlocking(false)
	l := &line{client: t.welcome(conn, peer), moved: t.now}
	if t.Service.Speech != nil {
		l.speech = t.Service.Speech()
	}
	l.place = t.talking.PushBack(l)
	return l
}

// hangUp closes a line. It may have freed the descriptor that accepting lacked.
func (t *thread) hangUp(l *line) {
	if l.shut {
		t.leaving.Remove(l.place)
	} else {
		t.talking.Remove(l.place)
	}
	t.farewell(l.client, l.err)
	t.retry = time.Time{}
}

// timeout is how long to wait for anything to happen: until the next line expires, or accepting is to be tried again.
func (t *thread) timeout() time.Duration {
	if t.draining() {
		return quietPeriod / 4
	}
	next := t.retry
	sooner := func(after *list.Element, limit time.Duration) {
		if after == nil || limit == 0 {
			return
		}
		if when := after.Value.(*line).moved.Add(limit); next.IsZero() || when.Before(next) {
			next = when
		}
	}
	sooner(t.talking.Front(), t.IdleTimeout)
	sooner(t.leaving.Front(), lingerLimit)
	if next.IsZero() {
		return -1
	}
	return max(time.Until(next), 0)
}

// tick begins a turn, after each wait.
func (t *thread) tick() {
	t.now = time.Now()
	if t.retry.Before(t.now) {
		t.retry = time.Time{}
	}
}

// expired ends the lines whose time is up, and returns them to be hung up.
func (t *thread) expired() (lines []*line) {
	end := func(l *line, why error) {
		if !l.over {
			l.end(why)
			lines = append(lines, l)
		}
	}
	leave := lingerLimit
	switch {
	case t.draining() && !t.now.Before(t.cutoff):
		leave = 0
		for l := range t.silent(t.talking, 0) {
			end(l, errCutOff)
		}
	case t.draining():
		leave = quietPeriod
		for l := range t.silent(t.talking, quietPeriod) {
			if !l.unsaid() {
				end(l, nil)
			}
		}
	case t.IdleTimeout > 0:
		for l := range t.silent(t.talking, t.IdleTimeout) {
			if l.unsaid() {
				end(l, errStalled)
			} else {
				end(l, errIdle)
			}
		}
	}
	for l := range t.silent(t.leaving, leave) {
		end(l, nil)
	}
	return lines
}

// silent yields the lines that have moved no byte for so long.
func (t *thread) silent(lines *list.List, long time.Duration) iter.Seq[*line] {
	return func(yield func(*line) bool) {
		for e := lines.Front(); e != nil; e = e.Next() {
			if l := e.Value.(*line); t.now.Sub(l.moved) < long || !yield(l) {
				return
			}
		}
	}
}

// closing tells, once, that the server drains: who has connected so far is to be admitted, and then nobody more.
func (t *thread) closing() bool { return t.draining() && t.listening }

func (t *thread) stopListening() {
	for _, l := range t.Listeners {
		l.Close()
	}
	t.listening = false
}

// done tells whether the server has drained.
func (t *thread) done() bool { return !t.listening && t.present.Load() == 0 }

// close ends what is left after a failure.
func (t *thread) close() {
	for _, lines := range []*list.List{t.talking, t.leaving} {
		for e := lines.Front(); e != nil; e = lines.Front() {
			t.hangUp(e.Value.(*line))
		}
	}
}
