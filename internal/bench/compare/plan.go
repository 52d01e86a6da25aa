package compare

import (
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// A Candidate is a server to compare.
type Candidate struct {
	Name string
	// Command makes the command that serves on a port of 127.0.0.1: echo, or what Plan.Load asks for.
	Command func(port int) *exec.Cmd
}

// A Plan says what to compare and how long.
type Plan struct {
	Candidates []Candidate
	Conns      []int        // connections, each a level of its own, rising
	Load       bench.Config // the protocol: WebSocket, Expect, Path and Churn. The other fields are those of the Plan
	Size       int          // bytes of a message
	Depth      int          // messages in flight on each connection
	Rounds     int          // in which each candidate has one slice at each level
	Slice      time.Duration
	Settle     time.Duration // load before each slice
	Idle       int           // connections that sit there while the memory is measured. 0: it is not
	Baseline   string        // the candidate that the others' costs are divided by
	Step       func(Step)    // is told before each slice. nil: nobody is
}

// A Step is where a comparison has come to.
type Step struct {
	Done, All int // slices
	What      string
}

// Check says what of p makes no sense, in the terms of the command's flags.
func (p *Plan) Check() error {
	switch {
	case len(p.Candidates) == 0:
		return errors.New("there is nothing to compare")
	case len(p.Conns) == 0:
		return errors.New("--conns: at least one number of connections")
	case p.Rounds < 1 || p.Rounds > 1000:
		return fmt.Errorf("--rounds %d: 1 to 1000", p.Rounds)
	case p.Slice < 10*time.Millisecond || p.Slice > time.Hour:
		return fmt.Errorf("--slice %v: 10ms to 1h", p.Slice)
	case p.Settle < 0 || p.Settle > time.Hour:
		return fmt.Errorf("--settle %v: 0 to 1h", p.Settle)
	case p.Idle < 0:
		return fmt.Errorf("--idle %d: it cannot be negative (0: memory is not measured)", p.Idle)
	}
	for i, n := range p.Conns {
		if n < 1 || i > 0 && n <= p.Conns[i-1] {
			return fmt.Errorf("--conns %v: rising numbers, from 1 on", p.Conns)
		}
	}
	names := map[string]bool{}
	for _, c := range p.Candidates {
		if names[c.Name] {
			return fmt.Errorf("there are two called %q", c.Name)
		}
		names[c.Name] = true
	}
	return nil
}
