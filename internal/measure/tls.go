package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/bench"
)

// tlsKinds are the servers that experiments over TLS compare: on one event loop, and with a goroutine for each connection
// on net and crypto/tls. Each has one processor.
var tlsKinds = []string{"tls", "goroutines"}

func startTLS() (servers [2]*server, stop func(), err error) {
	stop = func() {
		for _, s := range servers {
			if s != nil {
				s.stop()
			}
		}
	}
	for i, kind := range tlsKinds {
		if servers[i], err = start(kind, "1"); err != nil {
			stop()
			return servers, nil, err
		}
	}
	return servers, stop, nil
}

// costOfTLS compares what TLS costs the two kinds: processor time for a message and for a connection, and memory.
func costOfTLS(flags *flag.FlagSet) func(context.Context) (bool, error) {
	idle := flags.Int("idle", 3000, "idle connections whose memory is measured")
	rounds := flags.Int("rounds", 9, "rounds; the median counts")
	slice := flags.Duration("slice", time.Second, "that each server is loaded in a round")
	return func(ctx context.Context) (bool, error) {
		servers, stop, err := startTLS()
		if err != nil {
			return false, err
		}
		defer stop()
		var memory [2]float64
		for i, s := range servers {
			result, err := loadTLS(ctx, s, bench.Config{Conns: 1, Idle: *idle}, *slice)
			if err != nil {
				return false, err
			}
			memory[i] = result.Server.PerConn
		}
		holds := memory[0] <= memory[1]/2
		for _, what := range []struct {
			name   string
			config bench.Config
		}{
			{"echo, 100 connections", bench.Config{Conns: 100}},
			{"echo, 1000 connections", bench.Config{Conns: 1000}},
			{"connect, echo, close", bench.Config{Conns: 50, Churn: true}},
		} {
			var ratios []float64
			for round := range *rounds {
				var costs [2]float64
				for i := range servers {
					i ^= round & 1 // each is first in half of the rounds
					result, err := loadTLS(ctx, servers[i], what.config, *slice)
					if err != nil {
						return false, err
					}
					costs[i] = result.Server.PerMessage
				}
				ratios = append(ratios, costs[0]/costs[1])
			}
			fmt.Printf("%-24s x%.2f of the processor time with goroutines\n", what.name+":", median(ratios))
			holds = holds && median(ratios) <= 1.05
		}
		fmt.Printf("%-24s %.1f KB, with goroutines %.1f KB\n", "an idle connection:", memory[0]/1024, memory[1]/1024)
		return holds, nil
	}
}

// loadTLS is load with a certificate that is not looked at, and what else is to be loaded.
func loadTLS(ctx context.Context, s *server, c bench.Config, slice time.Duration) (*bench.Result, error) {
	c.TLS = &tls.Config{InsecureSkipVerify: true}
	result, err := loadWith(ctx, s, c, slice)
	if err == nil && result.Server == nil {
		err = fmt.Errorf("what process %d uses cannot be read", s.cmd.Process.Pid)
	}
	return result, err
}

// selfSigned is the configuration of a server that is measured.
func selfSigned() (*tls.Config, error) {
	own, err := certs.SelfSigned("127.0.0.1")
	return &tls.Config{Certificates: []tls.Certificate{own}}, err
}

// serveGoroutines echoes over TLS with a goroutine for each connection.
func serveGoroutines() error {
	config, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{conn}, make([]byte, 4096))
		}()
	}
}
