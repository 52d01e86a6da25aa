package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"time"
)

// flood measures how long 100 connections wait for their answers, without and with one more on the same loop that sends as
// much as it can.
func flood(flags *flag.FlagSet) func(context.Context) (bool, error) {
	conns := flags.Int("conns", 100, "connections that are measured")
	rounds := flags.Int("rounds", 9, "rounds; the median counts")
	slice := flags.Duration("slice", time.Second, "that is measured without and with the flood in a round")
	return func(ctx context.Context) (bool, error) {
		s, err := start("echo", "1")
		if err != nil {
			return false, err
		}
		defer s.stop()
		var ratios []float64
		for range *rounds {
			quiet, err := load(ctx, s, *conns, *slice)
			if err != nil {
				return false, err
			}
			f, err := start("flood", s.address)
			if err != nil {
				return false, err
			}
			flooded, err := load(ctx, s, *conns, *slice)
			f.stop()
			if err != nil {
				return false, err
			}
			ratio := flooded.Latency.P99 / quiet.Latency.P99
			fmt.Printf("  p99 %.0f us, %.0f us beside the flood: x%.2f\n", quiet.Latency.P99, flooded.Latency.P99, ratio)
			ratios = append(ratios, ratio)
		}
		ratio := median(ratios)
		fmt.Printf("%d connections, 64 B, one loop: one that floods raises the p99 of the others x%.2f\n", *conns, ratio)
		return ratio <= 2, nil
	}
}

// pour is a client that sends and receives as much as it can. It is run by nice, and so yields to everybody else that wants
// a processor: what is measured is how the server shares its loop, not how the system shares its processors.
func pour(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(conn.LocalAddr())
	go func() {
		p := make([]byte, 256<<10)
		for {
			if _, err := conn.Write(p); err != nil {
				return
			}
		}
	}()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 256<<10))
	return err
}
