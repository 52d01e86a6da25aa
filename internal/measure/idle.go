package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// idle loads two servers in turn, of which one has very many idle connections as well, and compares what a message costs
// them in processor time.
func idle(flags *flag.FlagSet) func(context.Context) (bool, error) {
	connections := flags.Int("idle", 15000, "idle connections")
	busy := flags.Int("conns", 100, "busy connections")
	rounds := flags.Int("rounds", 9, "rounds; the median counts")
	slice := flags.Duration("slice", time.Second, "that each server is loaded in a round")
	return func(ctx context.Context) (bool, error) {
		plain, err := start("echo", "1")
		if err != nil {
			return false, err
		}
		defer plain.stop()
		crowded, err := start("echo", "1")
		if err != nil {
			return false, err
		}
		defer crowded.stop()
		for i := range *connections {
			conn, err := net.Dial("tcp", crowded.address)
			if err != nil {
				return false, fmt.Errorf("after %d idle connections: %w", i, err)
			}
			defer conn.Close()
		}
		var ratios []float64
		for round := range *rounds {
			var costs [2]float64
			for i := range costs {
				i ^= round & 1 // each is first in half of the rounds
				if costs[i], err = costOfMessage(ctx, [...]*server{plain, crowded}[i], *busy, *slice); err != nil {
					return false, err
				}
			}
			ratio := costs[1] / costs[0]
			fmt.Printf("  %.2f us a message, %.2f us with idle connections: x%.2f\n", costs[0], costs[1], ratio)
			ratios = append(ratios, ratio)
		}
		ratio := median(ratios)
		fmt.Printf("%d connections, 64 B: a message costs x%.2f with %d idle connections\n", *busy, ratio, *connections)
		return ratio <= 1.1, nil
	}
}

// costOfMessage returns the server's processor time for a message, in microseconds.
func costOfMessage(ctx context.Context, s *server, conns int, slice time.Duration) (float64, error) {
	result, err := load(ctx, s, conns, slice)
	if err != nil {
		return 0, err
	}
	if result.Server == nil {
		return 0, fmt.Errorf("the processor time of %d cannot be read", s.cmd.Process.Pid)
	}
	return result.Server.PerMessage, nil
}

// load has each of conns exchange messages of 64 bytes with a server, one at a time.
func load(ctx context.Context, s *server, conns int, slice time.Duration) (*bench.Result, error) {
	return loadWith(ctx, s, bench.Config{Conns: conns}, slice)
}

// loadWith is load with settings of its own.
func loadWith(ctx context.Context, s *server, c bench.Config, slice time.Duration) (*bench.Result, error) {
	c.Address, c.PID, c.Size, c.Expect = s.address, s.cmd.Process.Pid, bench.Range{Min: 64, Max: 64}, bench.Echo
	c.Loops, c.Reset, c.Warmup, c.Duration = 1, true, slice/4, slice
	result, err := bench.Run(ctx, c)
	if err == nil && len(result.Errors) > 0 {
		err = fmt.Errorf("%+v", *result.Errors[0])
	}
	return result, err
}
