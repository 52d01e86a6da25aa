package switchboard

import (
	"cmp"
	"fmt"
	"runtime"
	"time"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// limits are a Server's fields with their zero values put into words.
type limits struct {
	Loops, MaxConns, Handshakes, ReadBuffer, InputLimit, HighWater, LowWater, QueueLimit                           int
	HandshakeTimeout, IdleTimeout, WriteTimeout, LingerTimeout, DialTimeout, SlowCall, KeepAlive, HalfCloseTimeout time.Duration
	Engine                                                                                                         string

	pipes int // kernel pipes at most, for splicing
}

func (s *Server) resolve() (limits, error) {
	l := limits{
		Loops:            cmp.Or(s.Loops, runtime.GOMAXPROCS(0)),
		MaxConns:         s.MaxConns,
		Handshakes:       cmp.Or(s.Handshakes, 1024),
		HandshakeTimeout: cmp.Or(s.HandshakeTimeout, 10*time.Second),
		ReadBuffer:       cmp.Or(s.ReadBuffer, 64<<10),
		InputLimit:       cmp.Or(s.InputLimit, 1<<20),
		HighWater:        cmp.Or(s.HighWater, 64<<10),
		IdleTimeout:      s.IdleTimeout,
		HalfCloseTimeout: s.HalfCloseTimeout,
		WriteTimeout:     cmp.Or(s.WriteTimeout, time.Minute),
		LingerTimeout:    cmp.Or(s.LingerTimeout, 5*time.Second),
		DialTimeout:      cmp.Or(s.DialTimeout, 10*time.Second),
		SlowCall:         cmp.Or(s.SlowCall, 100*time.Millisecond),
		KeepAlive:        cmp.Or(s.KeepAlive, 15*time.Second),
		Engine:           cmp.Or(s.Engine, "auto"),
	}
	l.LowWater = cmp.Or(s.LowWater, l.HighWater/4)
	l.ReadBuffer = min(l.ReadBuffer, l.InputLimit) // else one read could bring more than the limit
	l.QueueLimit = cmp.Or(s.QueueLimit, max(1<<20, 4*l.HighWater))
	for name, v := range map[string]int{"Loops": s.Loops, "MaxConns": s.MaxConns, "Handshakes": s.Handshakes,
		"ReadBuffer": s.ReadBuffer, "InputLimit": s.InputLimit, "HighWater": s.HighWater, "LowWater": s.LowWater,
		"QueueLimit": s.QueueLimit} {
		if v < 0 {
			return l, fmt.Errorf("switchboard: Server.%s is %d: must not be less than 0", name, v)
		}
	}
	if l.QueueLimit > 1<<30 {
		return l, fmt.Errorf("switchboard: Server.QueueLimit is %d: must not be more than 1 GiB", l.QueueLimit)
	}
	if l.LowWater >= l.HighWater || l.HighWater > l.QueueLimit {
		return l, fmt.Errorf("switchboard: Server.LowWater, HighWater and QueueLimit are %d, %d and %d: must rise",
			l.LowWater, l.HighWater, l.QueueLimit)
	}
	if n := rawio.Descriptors(); n > 0 {
		l.pipes = n / spliceShare / 2
	}
	return l, nil
}
