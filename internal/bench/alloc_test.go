//go:build unix && !race

package bench

import (
	"runtime"
	"testing"
	"time"
)

// The race detector has pools drop what they keep, which then is allocated anew.

func TestAMessageCostsNoAllocation(t *testing.T) {
	for name, cfg := range map[string]Config{"closed loop": {}, "open loop": {Rate: 5000}, "a line": {Expect: Line, Depth: 3}} {
		t.Run(name, func(t *testing.T) {
			address, _ := counting(t, "asyncio_echo.py")
			var first, last runtime.MemStats
			cfg.Address, cfg.Duration, cfg.Warmup, cfg.PID = address, 600*time.Millisecond, 100*time.Millisecond, -1
			cfg.Progress = func(p Progress) {
				if p.Phase == Measuring {
					runtime.ReadMemStats(&last)
					if first.Mallocs == 0 {
						first = last
					}
				}
			}
			r := load(t, cfg)
			well(t, r)
			const samples = 2000 // may cost so many, however many messages there are
			if n := float64(last.Mallocs-first.Mallocs) - samples; n > 0.1*float64(r.Messages.Answered) {
				t.Errorf("%d allocations for %d messages", last.Mallocs-first.Mallocs, r.Messages.Answered)
			}
		})
	}
}
