package engine

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/uring"
)

const (
	arenaSize = 256 << 10
	batchMost = 16 << 10 // bytes of one line in a batch: with more, a call of its own costs nothing
)

// A batch is what the next entering call sends. A line is in it once at most.
type batch struct {
	parts []part
	arena []byte // its bytes: memory that the collector knows nothing of
	used  int
	over  int  // of parts, those whose outcome is known, which is none or all of them
	told  int  // of these, those whose owner has been told
	lost  bool // the kernel did not take all of some part of the batch that was handed over last
}

// A part is one line's.
type part struct {
	line  *Line // nil when it is gone
	p     []byte
	rest  []byte // what the kernel did not take
	errno syscall.Errno
}

// Batch puts what is queued into the batch, and more.
func (e *completion) Batch(l *Line, queued *buffer.Queue, more []byte) bool {
	b := &e.batch
	n := queued.Len() + len(more)
	if n > batchMost || n > len(b.arena)-b.used || l.state.flags&batched != 0 || b.over > 0 || len(b.parts) == RingCompletions {
		return false
	}
	p := append(queued.AppendTo(b.arena[b.used:b.used:b.used+n], n), more...)
	b.used += n
	queued.Drop(queued.Len())
	e.put(l, p)
	return true
}

// BatchShared puts p into the batch, which keeps it from the collector. A batch that is full is handed over first.
func (e *completion) BatchShared(l *Line, p []byte) bool {
	b := &e.batch
	if len(b.parts) == RingEntries-shortBatch && b.over == 0 {
		e.Submit()
	}
	if l.state.flags&batched != 0 || b.over > 0 || len(b.parts) >= RingEntries {
		return false
	}
	e.put(l, p)
	return true
}

// put has p sent to l with the batch.
func (e *completion) put(l *Line, p []byte) {
	b := &e.batch
	l.state.set(batched)
	sqe := e.next()
	sqe.Send(int(l.FD), p, unix.MSG_DONTWAIT|unix.MSG_WAITALL, userData(kindSend, 0, len(b.parts)))
	sqe.Quiet()
	b.parts = append(b.parts, part{line: l, p: p})
}

// Submit has the kernel take the batch now.
func (e *completion) Submit() bool {
	err := e.enter(enterSubmit, 0, 0)
	e.endBatch()
	return err == nil
}

// unsent remembers what the kernel did not take of a part.
func (b *batch) unsent(cqe uring.CQE) {
	s := &b.parts[uint32(cqe.UserData)]
	s.rest = s.p[min(max(int(cqe.Res), 0), len(s.p)):]
	b.lost = b.lost || len(s.rest) > 0
	if errno := syscall.Errno(-cqe.Res); cqe.Res < 0 && !rawio.WouldBlock(errno) {
		s.errno = errno
	}
}

// broken tells l's owner if the kernel has said that sending failed, and the rest of the batch is still to be handed over. A
// socket tells its error once: whoever reads it next finds what looks like the end in order.
func (e *completion) broken(l *Line) bool {
	if l.state.flags&batched == 0 {
		return false
	}
	for i := range e.batch.parts {
		if s := &e.batch.parts[i]; s.line == l && s.errno != 0 {
			e.owner.Failed(l, "write", s.errno)
			return true
		}
	}
	return false
}

// forget has nobody told of l's part.
func (b *batch) forget(l *Line) {
	for i := range b.parts {
		if b.parts[i].line == l {
			b.parts[i].line = nil
		}
	}
}

// endBatch tells the owners what became of their parts, once all of it is handed over. An owner who does not return leaves
// the others to the next call.
func (e *completion) endBatch() {
	b := &e.batch
	if b.over == 0 {
		return
	}
	for b.told < b.over {
		s := &b.parts[b.told]
		b.told++
		if l := s.line; l != nil {
			l.state.clear(batched)
			e.owner.Sent(l, s.rest, s.errno)
		}
	}
	clear(b.parts)
	b.parts, b.used, b.over, b.told = b.parts[:0], 0, 0, 0
}
