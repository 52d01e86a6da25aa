package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/web"
)

// costOfHTTP compares package web with net/http: what a request costs on connections that are parked between their requests, and
// what an idle keep-alive connection costs; over TLS, beside one of the loops that speaks no HTTP.
func costOfHTTP(flags *flag.FlagSet) func(context.Context) (bool, error) {
	conns := flags.Int("conns", 5000, "connections, each with a request a second, or idle")
	secure := flags.Int("tls-conns", 3000, "idle connections over TLS")
	rounds := flags.Int("rounds", 5, "rounds; the median counts")
	slice := flags.Duration("slice", 5*time.Second, "that each server is loaded in a round")
	return func(ctx context.Context) (bool, error) {
		ratio, err := costOfParking(ctx, *conns, *rounds, *slice)
		if err != nil {
			return false, err
		}
		fmt.Printf("a request a second on each of %d connections: x%.2f of the processor time of net/http\n", *conns, ratio)
		idle := map[string]int{}
		for _, kind := range []struct {
			name, about string
			conns       int
		}{
			{"nethttp", "net/http", *conns}, {"web", "package web", *conns},
			{"tls", "TLS on a loop", *secure}, {"webtls", "package web over TLS", *secure},
		} {
			if idle[kind.name], err = costOfIdle(ctx, kind.name, kind.conns); err != nil {
				return false, fmt.Errorf("%s: %w", kind.about, err)
			}
			fmt.Printf("an idle connection, %s: %d bytes\n", kind.about, idle[kind.name])
		}
		return ratio <= 1.6 && idle["web"] <= 700 && idle["webtls"] <= idle["tls"]+500, nil
	}
}

// costOfParking returns what a request costs package web if its connection was parked before, divided by what it costs net/http.
func costOfParking(ctx context.Context, conns, rounds int, slice time.Duration) (float64, error) {
	var servers [2]*server
	for i, kind := range []string{"web", "nethttp"} {
		s, err := start(kind, "1")
		if err != nil {
			return 0, err
		}
		defer s.stop()
		servers[i] = s
	}
	var ratios []float64
	for round := range rounds {
		var costs [2]float64
		for i := range servers {
			i ^= round & 1 // each is first in half of the rounds
			s := servers[i]
			result, err := bench.Run(ctx, bench.Config{Address: s.address, PID: s.cmd.Process.Pid, Conns: conns, Rate: float64(conns),
				Expect: bench.HTTP, Loops: 1, Reset: true, Warmup: 2 * time.Second, Duration: slice})
			switch {
			case err != nil:
				return 0, err
			case len(result.Errors) > 0:
				return 0, fmt.Errorf("%+v", *result.Errors[0])
			case result.Server == nil:
				return 0, fmt.Errorf("the processor time of %d cannot be read", s.cmd.Process.Pid)
			}
			costs[i] = result.Server.PerMessage
		}
		fmt.Printf("  %.2f us a request, net/http %.2f us\n", costs[0], costs[1])
		ratios = append(ratios, costs[0]/costs[1])
	}
	return median(ratios), nil
}

// costOfIdle returns how many bytes a server occupies for each connection that had one request, or one echo, and is idle. What the
// first ones cost is the loops' buffers as well, so the ones after them are counted.
func costOfIdle(ctx context.Context, kind string, conns int) (int, error) {
	s, err := start(kind, "1")
	if err != nil {
		return 0, err
	}
	defer s.stop()
	if err := s.invite(ctx, kind, conns/5); err != nil {
		return 0, err
	}
	before, err := s.atRest()
	if err != nil {
		return 0, err
	}
	if err := s.invite(ctx, kind, conns); err != nil {
		return 0, err
	}
	after, err := s.atRest()
	return max(after-before, 0) / conns, err
}

// invite opens connections that have been answered once.
func (s *server) invite(ctx context.Context, kind string, conns int) error {
	for range conns {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			return err
		}
		s.guests = append(s.guests, conn)
		if err := askOnce(conn, kind); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// atRest returns how many bytes s occupies when that has not become less for five seconds.
func (s *server) atRest() (least int, err error) {
	least = 1 << 62
	for falls := time.Now(); time.Since(falls) < 5*time.Second; time.Sleep(200 * time.Millisecond) {
		now, err := s.status("VmRSS:")
		if err != nil {
			return 0, err
		}
		if now < least {
			least, falls = now, time.Now()
		}
	}
	return least, nil
}

// askOnce has a server of that kind answer one request, or one message.
func askOnce(conn net.Conn, kind string) error {
	conn.SetDeadline(time.Now().Add(time.Minute))
	if kind == "tls" || kind == "webtls" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
		return err
	}
	if kind == "tls" {
		_, err := io.ReadFull(conn, make([]byte, 16))
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	return err
}

// serveHTTP answers every request with one line, with net/http alone or on loops.
func serveHTTP(kind string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Hello, world!\n") })}
	if kind == "nethttp" {
		return server.Serve(l)
	}
	loops := &switchboard.Server{Loops: 1}
	if kind == "webtls" {
		if loops.TLSConfig, err = selfSigned(); err != nil {
			return err
		}
	}
	return (&web.Server{HTTP: server, Loops: loops}).Serve(l)
}
