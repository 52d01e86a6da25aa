package main

import (
	"cmp"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// A memoryLimit is a size of at least 0, or the default if it is not set.
type memoryLimit struct {
	set bool
	n   int64

	chosen int64  // for clients, once bytes has been asked; 0 is no limit
	source string // of what was chosen
}

// mostMemory is the highest --memory-limit. All clients together may hold more than fits an int, or than one of them may.
const mostMemory = 1 << 50

// Set implements pflag.Value.
func (m *memoryLimit) Set(s string) error {
	if s == "0" {
		m.set, m.n = true, 0
		return nil
	}
	n, err := parseSize(s, mostMemory)
	if err != nil {
		return err
	}
	m.set, m.n = true, n
	return nil
}

// String implements pflag.Value.
func (m *memoryLimit) String() string {
	if !m.set {
		return ""
	}
	return formatSize(m.n)
}

// Type implements pflag.Value.
func (m *memoryLimit) Type() string { return "size" }

// heapShare is how many times what clients hold the process may use: the garbage collector needs room, and so do the programs'
// own tables.
const heapShare = 3

// bytes is the limit for so many loops, and has the garbage collector work harder near what that makes of the whole process.
func (m *memoryLimit) bytes(loops int) int64 {
	if m.source == "" {
		m.chosen, m.source = m.choose(loops)
	}
	return m.chosen
}

func (m *memoryLimit) choose(loops int) (limit int64, source string) {
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	least := int64(loops) << 20
	heap := debug.SetMemoryLimit(-1) // $GOMEMLIMIT
	switch {
	case m.set && m.n == 0:
		return 0, "--memory-limit"
	case m.set:
		if heap == math.MaxInt64 {
			debug.SetMemoryLimit(heapShare * max(m.n, least))
		}
		return max(m.n, least), "--memory-limit"
	case heap != math.MaxInt64:
		return max(heap/heapShare, least), "$GOMEMLIMIT"
	}
	available, source := availableMemory()
	limit = max(available/(heapShare+1), least)
	debug.SetMemoryLimit(heapShare * limit)
	return limit, source
}

// availableMemory is how many bytes the process may use, and who says so: what the machine has, or the control group or ulimit -v
// leaves.
func availableMemory() (least int64, source string) {
	const unknown = 1 << 30
	for _, limit := range []struct {
		n      int64
		source string
	}{{machineMemory(), "the machine"}, {groupMemory(), "the control group"}, {addressSpace(), "ulimit -v"}} {
		if limit.n > 0 && (source == "" || limit.n < least) {
			least, source = limit.n, limit.source
		}
	}
	if source == "" {
		return unknown, "nobody knows how much there is"
	}
	return least, source
}

// connsPossible is how many clients there are descriptors for, 0 where that is not limited. Each loop, each listener and the process
// itself need some. No loops stand for one on each processor. Where there are few, less is left for what comes and goes, but what
// they need for certain is theirs: of clients that took it, those of a proxy would wait for each other's second descriptor.
func connsPossible(loops, listeners int) int {
	n := rawio.Descriptors()
	if n <= 0 {
		return 0
	}
	loops = cmp.Or(loops, runtime.GOMAXPROCS(0))
	certain := 10 + 4*loops + listeners
	others := 16 + 8*loops + listeners
	return max(n-others, min(n/2, n-certain), 1)
}

// limitPairs lets in no more clients than there are descriptors for if each takes two: a connection of its own, and one to a target
// or a file.
func (s *serving) limitPairs(flags *pflag.FlagSet, log *slog.Logger) {
	asked := flags.Changed("max-conns") && s.maxConns > 0
	room := (connsPossible(s.loop.loops, len(s.listen)) + 1) / 2
	switch {
	case asked && (room == 0 || s.maxConns <= room):
		return
	case asked:
		log.Warn("fewer clients than --max-conns: each takes two descriptors (raise the limit with ulimit -n)", "clients", room)
	}
	s.maxConns = room
}
