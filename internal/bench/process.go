package bench

import (
	"fmt"
	"time"

	"github.com/switchboard-go/switchboard/internal/quote"
)

// A process is the server's, with all that it has started. Its methods do nothing on nil: a server that cannot be looked
// at.
type process struct {
	pids   []int // the server's own: one, or several that listen together
	name   string
	before usage // with one connection
	start  usage // of the measurement
	stop   usage
	conns  int // at the end
}

// A usage is what processes have used so far.
type usage struct {
	cpu      time.Duration
	resident int64
}

// findServer finds the process at the other end of the first connection, if it is on this host and can be looked at. A
// process that was asked for must be there.
func (r *run) findServer() (*process, error) {
	p := &process{pids: []int{r.cfg.PID}}
	switch {
	case r.cfg.PID < 0:
		return nil, nil
	case r.cfg.PID == 0:
		if p.pids = listeners(r.there.server, r.there.client); len(p.pids) == 0 {
			return nil, nil
		}
	}
	var err error
	if p.name, err = nameOf(p.pids[0]); err == nil {
		p.before, err = usageOf(p.pids)
	}
	if err != nil && r.cfg.PID == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--pid %d: %w", r.cfg.PID, err)
	}
	return p, nil
}

func (p *process) begin() {
	if p != nil {
		p.start, _ = usageOf(p.pids)
	}
}

func (p *process) end(conns int) {
	if p != nil {
		p.stop, _ = usageOf(p.pids)
		p.conns = conns
	}
}

// result puts what was used between begin and end into figures, nil if the server did not live so long.
func (p *process) result(res *Result) *ServerCost {
	if p == nil || p.stop.resident == 0 || p.start.resident == 0 {
		return nil
	}
	cpu := max(0, p.stop.cpu-p.start.cpu).Seconds()
	c := &ServerCost{PID: p.pids[0], Name: quote.Line(p.name), CPU: cpu, Processors: cpu / res.Seconds, Resident: p.stop.resident}
	if n := res.Messages.PerSecond * res.Seconds; n > 0 {
		c.PerMessage = cpu * 1e6 / n
	}
	if p.conns >= 10 {
		c.PerConn = max(0, float64(p.stop.resident-p.before.resident)/float64(p.conns-1))
	}
	return c
}
