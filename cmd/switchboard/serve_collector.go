package main

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// A collector sets how often the garbage collector runs (GOGC) by the size of the heap and by how much is allocated. A server of
// idle connections allocates little, so frequent collections cost little and the heap needs little room beside what lives; while
// much is allocated, as in a flood of handshakes, they would cost more than the room is worth.
//
// A collection costs in proportion to what lives, and they come the more often the more is allocated in proportion to that. So the
// share of a processor that they take is the rate of allocation times the cost of a byte, over GOGC; what lives cancels out. GOGC is
// what makes that share 1 percent, within bounds.
type collector struct {
	percent         atomic.Int64 // GOGC; 0: it is not ours to set
	samples         []metrics.Sample
	last            time.Time
	total           uint64 // allocated until then
	lowSteps        int    // steps in a row that would have set it lower
	afterCollection uint64 // what the heap had when it was last collected for being too large
}

const (
	collectEvery = 500 * time.Millisecond // how often the rate is looked at

	// minLowSteps is how many times in a row the rate must be lower before that counts: floods come in waves.
	minLowSteps = 20

	leastPercent, mostPercent = 20, 100

	// smallHeap is below what the room beside what lives is not worth a collection.
	smallHeap = 16 << 20

	// fullRate is how many bytes per second make GOGC 100: at about 1 ns to mark a byte, collections take 1 percent of a processor.
	fullRate = 10 << 20
)

// newCollector returns one that begins with what Go has by default, nil if $GOGC says what to do.
func newCollector() *collector {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	c := &collector{samples: []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}}
	c.percent.Store(mostPercent)
	c.read(time.Now())
	return c
}

// run sets the collector again and again, as long as the process lives.
func (c *collector) run() {
	for now := range time.Tick(collectEvery) {
		c.step(now)
	}
}

// figures are what the log tells of the collector.
func (c *collector) figures() []any {
	if c == nil {
		return nil
	}
	return []any{"gogc", c.percent.Load()}
}

// read returns how many bytes were allocated per second since it was last called, how many live, and how many the heap has of the
// system.
func (c *collector) read(now time.Time) (rate float64, live, heap uint64) {
	metrics.Read(c.samples)
	total := c.samples[0].Value.Uint64()
	if d := now.Sub(c.last).Seconds(); d > 0 {
		rate = float64(total-c.total) / d
	}
	c.total, c.last = total, now
	for _, part := range c.samples[2:] {
		heap += part.Value.Uint64()
	}
	return rate, c.samples[1].Value.Uint64(), heap
}

// step looks at the rate, and sets what follows from it.
func (c *collector) step(now time.Time) {
	rate, live, heap := c.read(now)
	percent, before := percentFor(rate, live), c.percent.Load()
	if c.lowSteps++; percent >= before {
		c.lowSteps = 0
	}
	if percent > before || c.lowSteps >= minLowSteps {
		c.percent.Store(percent)
		debug.SetGCPercent(int(percent))
	}
	percent = c.percent.Load()
	// With so little allocated it would be long before Go collects again what a flood has left, and only then does it give back
	// what exceeds the new goal. That takes a while: it is done once for each growth.
	room := live * leastPercent / 100
	switch {
	case percent > leastPercent || live < smallHeap || heap <= live+2*room:
		c.afterCollection = 0
	case heap > c.afterCollection+room:
		debug.FreeOSMemory()
		_, _, c.afterCollection = c.read(now)
	}
}

// percentFor is GOGC for a rate of allocation and what lives, in steps so that it is not set all the time.
func percentFor(rate float64, live uint64) int64 {
	if live < smallHeap {
		return mostPercent
	}
	percent := int64(math.Ceil(rate/fullRate*10)) * 10
	return min(max(percent, leastPercent), mostPercent)
}

// collect begins to set the collector, and logs what memory the server may use, and who says so.
func (s *serving) collect(log *slog.Logger) {
	if s.figures.collector = newCollector(); s.figures.collector != nil {
		go s.figures.collector.run()
	}
	heap, clients := debug.SetMemoryLimit(-1), s.loop.memory.chosen
	list := []any{"clients", sizeOrNone(clients), "heap", sizeOrNone(heap), "from", s.loop.memory.source}
	if c := s.figures.collector; c != nil {
		list = append(list, "collector", "by heap and allocation rate")
	} else {
		list = append(list, "collector", "$GOGC")
	}
	log.Info("memory", list...)
}

// sizeOrNone writes a limit.
func sizeOrNone(n int64) string {
	if n <= 0 || n == math.MaxInt64 {
		return "no limit"
	}
	if whole := n &^ (1<<20 - 1); whole > 0 {
		n = whole
	}
	return formatSize(n)
}
