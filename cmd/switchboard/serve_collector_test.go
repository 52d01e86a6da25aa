package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func TestTheCollectorFollowsHeapAndRate(t *testing.T) {
	const large = 100 << 20
	for _, c := range []struct {
		rate float64
		live uint64
		want int64
	}{
		{0, 0, 100}, {1e9, 1 << 20, 100}, {0, smallHeap - 1, 100}, // the room of a small heap is not worth it
		{0, large, 20}, {1 << 20, large, 20}, {3 << 20, large, 30}, {3<<20 + 1, large, 40}, {10 << 20, large, 100}, {1e12, large, 100},
	} {
		if got := percentFor(c.rate, c.live); got != c.want {
			t.Errorf("%v bytes/s, %d alive: %d, want %d", c.rate, c.live, got, c.want)
		}
	}
}

var kept []byte

// A flood's garbage does not stay when it is over.
func TestWhatAFloodLeavesIsCollected(t *testing.T) {
	t.Setenv("GOGC", "")
	c := newCollector()
	kept = make([]byte, 64<<20)
	defer func() {
		kept = nil
		debug.SetGCPercent(100)
	}()
	now := c.last
	step := func() (live, heap uint64) {
		now = now.Add(time.Hour) // whatever other tests allocate, it is little
		c.step(now)
		_, live, heap = c.read(now)
		return live, heap
	}
	until(t, "what lives is known", func() bool { live, _ := step(); return live >= 64<<20 })
	for range minLowSteps {
		step()
	}
	for range 1000 {
		_ = fmt.Sprint(make([]byte, 10))
	}
	if _, heap := step(); c.percent.Load() != leastPercent || c.afterCollection == 0 && heap > 2*(64<<20) {
		t.Errorf("GOGC is %d, and the heap has %d bytes", c.percent.Load(), heap)
	}
	t.Setenv("GOGC", "50")
	if newCollector() != nil {
		t.Error("$GOGC is not heeded")
	}
}

func TestTheServerSaysWhatMemoryItUses(t *testing.T) {
	for env, want := range map[string]string{
		"X=1":              "by heap and allocation rate",
		"GOGC=50":          "$GOGC",
		"GOMEMLIMIT=90MiB": "$GOMEMLIMIT",
	} {
		name, value, _ := strings.Cut(env, "=")
		before, was := os.LookupEnv(name)
		os.Setenv(name, value)
		s := start(t, exec.Command(os.Args[0], serveArgs([]string{"echo", "--quiet"})...))
		if os.Unsetenv(name); was {
			os.Setenv(name, before)
		}
		e := s.await("memory", 1)
		if fmt.Sprint(e["collector"]) != want && fmt.Sprint(e["from"]) != want {
			t.Errorf("%s: %v", env, e)
		}
		if env == "GOMEMLIMIT=90MiB" && (e["clients"] != "30M" || e["heap"] != "90M") {
			t.Errorf("%s: %v", env, e)
		}
		s.stop()
	}
}
