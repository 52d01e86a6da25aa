// Package accesslog writes the lines of an access log. Who logs never waits for who reads the log.
package accesslog

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// mostWaiting is how many bytes of lines wait for who reads the log. More are lost, and counted.
const mostWaiting = 1 << 20

// A Writer passes lines on to another writer. Its Write takes a line or more, whole or not at all, and never waits. Any
// goroutine may call its methods.
type Writer struct {
	out  io.Writer
	tell func(lost int, err error)

	mu      sync.Mutex
	waiting []byte
	lines   int  // in waiting
	begun   bool // waiting begins with the rest of a line: out has taken its beginning
	writing int  // lines that out is being given
	lost    int
	failed  error
	told    time.Time
	ended   bool
	givenUp bool          // by Close: what was being written is counted as lost
	more    chan struct{} // something waits
	quit    chan struct{} // closed by Close
	done    chan struct{}
}

// New returns a Writer to out. tell is called with the number of lines that were lost, at most once a minute, and why: err is
// nil if nobody read them in time. It runs on a goroutine of the Writer's, or in Close.
func New(out io.Writer, tell func(lost int, err error)) *Writer {
	w := &Writer{out: out, tell: tell, more: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

var newline = []byte{'\n'}

// Write implements io.Writer. Its error is always nil.
func (w *Writer) Write(p []byte) (int, error) {
	lines := bytes.Count(p, newline)
	w.mu.Lock()
	if w.ended || len(w.waiting)+len(p) > mostWaiting {
		w.lost += lines
	} else {
		w.waiting = append(w.waiting, p...)
		w.lines += lines
	}
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

// Close writes what waits, and returns when that is done, or after patience. What is not written by then is told of as lost.
func (w *Writer) Close(patience time.Duration) {
	w.mu.Lock()
	if !w.ended {
		w.ended = true
		close(w.quit)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(patience):
		w.giveUp()
	}
}

// giveUp tells of all that is not written, once.
func (w *Writer) giveUp() {
	w.mu.Lock()
	lost := w.lost + w.lines + w.writing
	w.waiting, w.lines, w.writing, w.lost, w.givenUp = nil, 0, 0, 0, true
	w.mu.Unlock()
	if lost > 0 {
		w.tell(lost, nil)
	}
}

func (w *Writer) run() {
	defer close(w.done)
	var spare []byte
	for open := true; open; {
		select {
		case <-w.more:
		case <-w.quit:
			open = false
		}
		spare = w.pass(spare, open)
	}
}

// pass gives out what waits, and returns a buffer for what comes in the turn after the next.
func (w *Writer) pass(spare []byte, open bool) []byte {
	w.mu.Lock()
	text, begun := w.waiting, w.begun
	w.waiting, w.lines, w.begun, w.writing = spare[:0], 0, false, w.lines
	w.mu.Unlock()
	if len(text) > 0 {
		if n, err := w.out.Write(text); err != nil {
			if n > 0 {
				begun = text[n-1] != '\n'
			}
			w.fail(text[n:], begun && open, err)
		}
	}
	w.account(open)
	return text
}

// tellEvery is how often lost lines are told of.
const tellEvery = time.Minute

// fail counts the lines of rest, which out has not taken, as lost. If the first of them has begun, out has its beginning, and no
// other line may come behind that: its rest is written before what comes next.
func (w *Writer) fail(rest []byte, begun bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.givenUp {
		return
	}
	if begun {
		end := bytes.IndexByte(rest, '\n') + 1
		w.waiting = append(bytes.Clone(rest[:end]), w.waiting...)
		w.lines++
		w.begun = true
		rest = rest[end:]
	}
	w.lost += bytes.Count(rest, newline)
	w.failed = err
}

// account tells of lost lines, now and then, and at the end.
func (w *Writer) account(open bool) {
	w.mu.Lock()
	w.writing = 0
	lost, why := w.lost, w.failed
	tells := lost > 0 && (!open || w.told.IsZero() || time.Since(w.told) >= tellEvery)
	if tells {
		w.lost, w.failed, w.told = 0, nil, time.Now()
	}
	w.mu.Unlock()
	if tells {
		w.tell(lost, why)
	}
}

// A Sampler takes one in so many.
type Sampler struct {
	every uint64
	n     atomic.Uint64
}

// Sample returns a Sampler that takes one in every, and all if that is 1 or less.
func Sample(every int) *Sampler { return &Sampler{every: uint64(max(every, 1))} }

// Take tells whether this one is taken: the first is, and then every so many. Any goroutine may call it.
func (s *Sampler) Take() bool { return (s.n.Add(1)-1)%s.every == 0 }

// Every returns how many there are for one that is taken.
func (s *Sampler) Every() int { return int(s.every) }
