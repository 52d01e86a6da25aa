package compare

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/quote"
)

// startWait is how long a server may take until it listens.
const startWait = 10 * time.Second

// Run compares. When ctx ends it ends early, with what there is. Every server that it starts has ended when it returns.
// An error is about a comparison that found out nothing; a candidate that fails is told of in the Result.
func Run(ctx context.Context, p Plan) (*Result, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	c := &comparison{Plan: p, ctx: ctx, result: &Result{Schema: Schema, Began: time.Now(), Machine: bench.ThisMachine(),
		Size: p.Size, Depth: p.Depth, Rounds: p.Rounds, Slice: p.Slice.Seconds(), IdleConns: p.Idle}}
	c.all = len(p.Candidates) * len(p.Conns) * p.Rounds
	if p.Idle > 0 {
		c.all += len(p.Candidates)
	}
	for _, candidate := range p.Candidates {
		c.result.Servers = append(c.result.Servers, &Server{Name: candidate.Name, Levels: []*Level{}})
	}
	c.measureIdle()
	c.measureLevels()
	return c.finish()
}

type comparison struct {
	Plan
	ctx       context.Context
	result    *Result
	done, all int
}

// step tells how far it is, and whether to go on.
func (c *comparison) step(format string, a ...any) bool {
	if c.Step != nil {
		c.Step(Step{c.done, c.all, fmt.Sprintf(format, a...)})
	}
	c.done++
	return c.ctx.Err() == nil
}

// fail ends a candidate's part in the comparison.
func (s *Server) fail(err error) {
	s.failed = true
	s.Error = quote.Error(err)
}

// measureIdle has every candidate hold idle connections, each on a fresh start: memory that served load before would
// serve them too, and not show.
func (c *comparison) measureIdle() {
	if c.Idle == 0 {
		return
	}
	for i, s := range c.result.Servers {
		if !c.step("%s: memory of %d idle connections", s.Name, c.Idle) {
			return
		}
		proc, err := startServer(c.ctx, c.Candidates[i].Command)
		if err != nil {
			s.fail(err)
			continue
		}
		load := c.load(proc)
		load.Churn, load.Idle, load.Duration = false, c.Idle, 300*time.Millisecond
		load.OpenWait, load.LastWait = time.Second, time.Millisecond
		r, err := bench.Run(c.ctx, load)
		proc.stop()
		if err == nil && r.Server != nil && r.Connections.AtEnd-r.Connections.Silent > int64(c.Idle)/2 {
			s.PerIdle = r.Server.PerConn
		}
	}
}

// load is what all loads of p have in common.
func (c *comparison) load(p *process) bench.Config {
	load := c.Load
	load.Address, load.Size, load.Reset = p.address, bench.Range{Min: c.Size, Max: c.Size}, true
	return load
}

// measureLevels has all candidates run and loads one at a time.
func (c *comparison) measureLevels() {
	for i, s := range c.result.Servers {
		if s.failed || c.ctx.Err() != nil {
			continue
		}
		proc, err := startServer(c.ctx, c.Candidates[i].Command)
		if err != nil {
			s.fail(err)
			continue
		}
		defer proc.stop()
		s.process, s.Command = proc, proc.cmd.Args
	}
	for _, conns := range c.Conns {
		for round := range c.Rounds {
			for _, i := range rand.Perm(len(c.result.Servers)) {
				s := c.result.Servers[i]
				if !c.step("%d connections, round %d of %d: %s", conns, round+1, c.Rounds, s.Name) {
					return
				}
				if !s.failed && !s.overwhelmed(conns) {
					c.slice(s, conns, round)
				}
			}
		}
	}
}

// overwhelmed tells whether the server left most of fewer connections unanswered: more would show nothing new.
func (s *Server) overwhelmed(conns int) bool {
	for _, l := range s.Levels {
		if l.Conns < conns && l.Served*2 < l.Conns {
			return true
		}
	}
	return false
}

func (c *comparison) slice(s *Server, conns, round int) {
	load := c.load(s.process)
	load.Conns, load.Depth, load.Warmup, load.Duration = conns, c.Depth, c.Settle, c.Slice
	load.OpenWait, load.LastWait = 2*time.Second, 500*time.Millisecond
	r, err := bench.Run(c.ctx, load)
	switch {
	case err != nil && c.ctx.Err() != nil:
		return
	case err != nil:
		s.fail(fmt.Errorf("with %d connections: %w", conns, errors.Join(err, s.process.ended())))
		return
	case r.Interrupted:
		return
	}
	l := s.Level(conns)
	if l == nil {
		l = &Level{Conns: conns, Errors: []*bench.Trouble{}}
		s.Levels = append(s.Levels, l)
	}
	l.add(round, r)
}

func (c *comparison) finish() (*Result, error) {
	var base *Server
	found := false
	for _, s := range c.result.Servers {
		if s.Name == c.Baseline && len(s.Levels) > 0 {
			base, c.result.Baseline = s, s.Name
		}
		found = found || len(s.Levels) > 0
	}
	c.result.Interrupted = c.ctx.Err() != nil
	if !found {
		if c.result.Interrupted {
			return nil, errors.New("interrupted before anything was measured")
		}
		var all []error
		for _, s := range c.result.Servers {
			all = append(all, fmt.Errorf("%s: %s", s.Name, s.Error))
		}
		return nil, fmt.Errorf("no server could be measured: %w", errors.Join(all...))
	}
	for _, s := range c.result.Servers {
		for _, l := range s.Levels {
			var b *Level
			if base != nil {
				b = base.Level(l.Conns)
			}
			l.settle(b)
		}
	}
	return c.result, nil
}
