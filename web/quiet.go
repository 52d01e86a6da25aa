package web

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// A quiet gives memory back when many connections have been served and none is. What served them is garbage then, many
// times of what the parked ones have, and without new garbage the collector finds it two minutes later.
type quiet struct {
	begins   atomic.Int64 // sessions that have begun
	sessions atomic.Int64 // those of them that have not ended
	ends     atomic.Int64 // those that ended since memory was given back
	watched  atomic.Bool  // it is being seen whether one begins
	next     atomic.Int64 // when memory may be given back again, in nanoseconds since epoch
}

const (
	// manySessions is how many sessions are worth a collection.
	manySessions = 100

	// quietFor is how long none may begin before.
	quietFor = 250 * time.Millisecond

	// collectShare is the part of the time that collections may take.
	collectShare = 100

	// A heap of smallHeap bytes, and heapPerConn for each connection, is collected unasked.
	smallHeap   = 64 << 20
	heapPerConn = 4 << 10
)

func (q *quiet) begun() {
	q.begins.Add(1)
	q.sessions.Add(1)
}

// sessionEnded is told of every session that quiet.begun was told of.
func (s *Server) sessionEnded() {
	left := s.quiet.sessions.Add(-1)
	if s.quiet.ends.Add(1) >= manySessions && left == 0 {
		s.watchQuiet()
	}
}

// watchQuiet gives memory back if no session begins for a while.
func (s *Server) watchQuiet() {
	q := &s.quiet
	if int64(time.Since(epoch)) < q.next.Load() || !q.watched.CompareAndSwap(false, true) {
		return
	}
	begins := q.begins.Load()
	time.AfterFunc(quietFor, func() {
		q.watched.Store(false)
		switch {
		case q.sessions.Load() > 0: // the last of them has it watched again
		case q.begins.Load() != begins:
			s.watchQuiet()
		case s.mayCollect():
			q.ends.Store(0)
			begun := time.Since(epoch)
			runtime.GC() // what lies in pools outlives one collection
			debug.FreeOSMemory()
			now := time.Since(epoch)
			q.next.Store(int64(now + collectShare*(now-begun)))
		}
	})
}

// mayCollect tells whether the program wants a collection, or one costs it little.
func (s *Server) mayCollect() bool {
	if s.FreeMemory {
		return true
	}
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() <= smallHeap+uint64(open)*heapPerConn && samples[1].Value.Uint64() != math.MaxUint64
}
