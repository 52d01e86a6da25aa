package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// handshakes measures how long 100 established TLS connections wait for their answers while clients do nothing but shake
// hands.
func handshakes(flags *flag.FlagSet) func(context.Context) (bool, error) {
	conns := flags.Int("conns", 100, "established connections")
	rate := flags.Float64("rate", 5000, "messages a second over all of them")
	rounds := flags.Int("rounds", 7, "rounds; the median counts")
	slice := flags.Duration("slice", time.Second, "that each server is measured without and with the flood in a round")
	return func(ctx context.Context) (bool, error) {
		servers, stop, err := startTLS()
		if err != nil {
			return false, err
		}
		defer stop()
		var p99 [2][]float64
		for range *rounds {
			for i, s := range servers {
				quiet, err := loadTLS(ctx, s, bench.Config{Conns: *conns, Rate: *rate}, *slice)
				if err != nil {
					return false, err
				}
				f, err := start("shake", s.address)
				if err != nil {
					return false, err
				}
				flooded, err := loadTLS(ctx, s, bench.Config{Conns: *conns, Rate: *rate}, *slice)
				f.stop()
				if err != nil {
					return false, err
				}
				fmt.Printf("  %-11s p99 %5.0f us, %5.0f us beside handshakes\n", tlsKinds[i]+":",
					quiet.Latency.P99, flooded.Latency.P99)
				p99[i] = append(p99[i], flooded.Latency.P99)
			}
		}
		loop, goroutines := median(p99[0]), median(p99[1])
		fmt.Printf("%d connections, 64 B, %.0f messages a second, one processor, beside handshakes: p99 %.0f us, "+
			"with goroutines %.0f us\n", *conns, *rate, loop, goroutines)
		return loop <= goroutines, nil
	}
}

// shake is a client that connects, shakes hands and leaves, over and over, 16 times at once. It is run by nice, see pour.
func shake(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	conn.Close()
	fmt.Println(conn.LocalAddr())
	failed := make(chan error)
	for range 16 {
		go func() {
			for {
				conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					failed <- err
					return
				}
				conn.NetConn().(*net.TCPConn).SetLinger(0) // leaves no port waiting
				conn.NetConn().Close()
			}
		}()
	}
	return <-failed
}
