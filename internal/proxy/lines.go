package proxy

import (
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
)

// Patience is for how long the target of a line may have said nothing since the client came when its place is wanted.
const Patience = 10 * time.Second

// pressEvery is how often lines are looked through while all places are taken.
const pressEvery = time.Second

// lines are those that there are, the oldest first.
type lines struct {
	mu          sync.Mutex
	first, last *line
	n           int
	pressing    bool
}

// add appends a line, and returns how many there are.
func (l *lines) add(ln *line) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln.before = l.last; l.last == nil {
		l.first = ln
	} else {
		l.last.after = ln
	}
	l.last = ln
	l.n++
	return l.n
}

// join notes the connection to the target of a line.
func (l *lines) join(ln *line, back *switchboard.Conn) {
	l.mu.Lock()
	ln.answers = back
	l.mu.Unlock()
}

// remove takes a line out.
func (l *lines) remove(ln *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln.before == nil && ln.after == nil && l.first != ln { // it is out already
		return
	}
	if ln.before == nil {
		l.first = ln.after
	} else {
		ln.before.after = ln.after
	}
	if ln.after == nil {
		l.last = ln.before
	} else {
		ln.after.before = ln.before
	}
	ln.before, ln.after = nil, nil
	l.n--
}

// press makes room, now and every second while all places are taken.
func (l *lines) press(p *Proxy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.pressing {
		l.pressing = true
		time.AfterFunc(pressEvery, func() { l.look(p) })
	}
}

// look resets lines that are silent, the oldest first and at most a quarter of all.
func (l *lines) look(p *Proxy) {
	var silent []*line
	l.mu.Lock()
	full := l.n >= p.Places
	for ln := l.first; full && ln != nil && ln.client.Age() >= Patience && len(silent) <= p.Places/4; ln = ln.after {
		if ln.answers != nil && ln.answers.Received() == 0 {
			silent = append(silent, ln)
		}
	}
	if l.pressing = full && !p.targets.isClosed(); l.pressing {
		time.AfterFunc(pressEvery, func() { l.look(p) })
	}
	l.mu.Unlock()
	for _, ln := range silent {
		ln.client.Abort()
	}
	if len(silent) > 0 {
		p.log.Warn("all places are taken, and clients whose targets have said nothing were reset",
			"clients", len(silent), "places", p.Places, "after", Patience)
	}
}
