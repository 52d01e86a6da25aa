package engine

import (
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/uring"
)

// The batch of a turn is bounded by its arena, by batchMost for a line, and by one part for each.
func TestBatchIsBounded(t *testing.T) {
	e := newRing(t)
	l := &Line{FD: -1}
	e.config.Lines.Add(l)
	var q buffer.Queue
	if e.Batch(l, &q, make([]byte, batchMost+1)) {
		t.Error("a batch takes more of a line than batchMost")
	}
	if !e.Batch(l, &q, make([]byte, batchMost)) {
		t.Error("a batch does not take batchMost")
	}
	if e.Batch(l, &q, []byte("x")) {
		t.Error("a line is in the batch twice")
	}
	for range arenaSize/batchMost - 1 {
		other := &Line{FD: -1}
		e.config.Lines.Add(other)
		if !e.Batch(other, &q, make([]byte, batchMost)) {
			t.Error("the arena is not used to its end")
		}
	}
	other := &Line{FD: -1}
	e.config.Lines.Add(other)
	if e.Batch(other, &q, []byte("x")) {
		t.Error("a batch takes more than its arena holds")
	}
}

// A failing owner remembers what it was told.
type failing struct {
	silent
	told []error
}

func (o *failing) Failed(_ *Line, call string, errno syscall.Errno) { o.told = append(o.told, errno) }

// A failed send is told to the owner before anything else of its line, though the rest of the batch is not handed over.
func TestAFailedSendIsToldAtOnce(t *testing.T) {
	e := newRing(t)
	o := new(failing)
	e.owner = o
	lines := [2]*Line{{FD: -1}, {FD: -1}}
	var q buffer.Queue
	for _, l := range lines {
		e.config.Lines.Add(l)
		if !e.Batch(l, &q, []byte("x")) {
			t.Fatal("it is not taken into the batch")
		}
	}
	e.batch.unsent(uring.CQE{UserData: userData(kindSend, 0, 1), Res: -int32(syscall.EPIPE)})
	if e.broken(lines[0]) || len(o.told) != 0 {
		t.Errorf("%v, of a line whose bytes were sent", o.told)
	}
	if !e.broken(lines[1]) || len(o.told) != 1 || o.told[0] != syscall.EPIPE {
		t.Errorf("%v, and sending has failed", o.told)
	}
}

// A line that brings more than ReadBuffer in one turn is read once a turn from then on. What other lines bring in between is
// not counted.
func TestALineThatBringsMuchIsReadOnceATurn(t *testing.T) {
	e := newRing(t)
	one, other := &Line{FD: -1}, &Line{FD: -1}
	bring := func(l *Line, n int32) bool {
		e.bound(l, uring.CQE{Res: n})
		return l.state.flags&flooding != 0
	}
	most := int32(e.config.ReadBuffer)
	if bring(one, most) || bring(other, most) || bring(one, 1) || bring(one, most-1) {
		t.Error("a line is read once a turn that has brought no more than ReadBuffer in a row")
	}
	if !bring(one, 1) {
		t.Error("a line that has brought more than ReadBuffer in a row is not read once a turn")
	}
}
