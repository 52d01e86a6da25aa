package web

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// A memoryRelease gives memory back to the system when many sessions have ended and none is left. What served them is garbage
// then, many times of what the parked connections have, and without new garbage the collector finds it two minutes later.
type memoryRelease struct {
	begins    atomic.Int64 // sessions that have begun
	sessions  atomic.Int64 // those of them that have not ended
	ends      atomic.Int64 // those that ended since memory was given back
	scheduled atomic.Bool  // a timer runs, which looks whether a session has begun
	notBefore atomic.Int64 // when memory may be given back again, in nanoseconds since epoch
}

const (
	// manySessions is how many sessions are worth a collection.
	manySessions = 100

	// releaseDelay is how long none may begin before.
	releaseDelay = 250 * time.Millisecond

	// collectShare is the part of the time that collections may take.
	collectShare = 100

	// A heap of smallHeap bytes, and heapPerConn for each connection, is collected unasked.
	smallHeap   = 64 << 20
	heapPerConn = 4 << 10
)

func (m *memoryRelease) sessionBegan() {
	m.begins.Add(1)
	m.sessions.Add(1)
}

// sessionEnded is told of every session that sessionBegan was told of.
func (s *Server) sessionEnded() {
	left := s.release.sessions.Add(-1)
	if s.release.ends.Add(1) >= manySessions && left == 0 {
		s.scheduleRelease()
	}
}

// scheduleRelease gives memory back if no session begins for a while.
func (s *Server) scheduleRelease() {
	m := &s.release
	if !m.scheduled.CompareAndSwap(false, true) {
		return
	}
	begins := m.begins.Load()
	wait := max(releaseDelay, time.Duration(m.notBefore.Load())-time.Since(epoch))
	time.AfterFunc(wait, func() {
		m.scheduled.Store(false)
		switch {
		case m.sessions.Load() > 0: // the last of them schedules it again
		case m.begins.Load() != begins:
			s.scheduleRelease()
		case s.mayCollect():
			m.ends.Store(0)
			begun := time.Since(epoch)
			runtime.GC() // what lies in pools outlives one collection
			debug.FreeOSMemory()
			now := time.Since(epoch)
			m.notBefore.Store(int64(now + collectShare*(now-begun)))
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
