//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

var hostileFor = flag.Duration("hostile", time.Second, "how long the hostile clients of TestHostileClients go on at each server")

const (
	hostileFiles  = 256       // descriptors that a server has
	hostileMemory = 128 << 20 // bytes that it may occupy
)

// Hostile clients of every kind at once cost a server no more than it may cost, and keep it from serving nobody. What a
// client that means well waits for is printed (-v).
func TestHostileClients(t *testing.T) {
	for _, service := range abusedServices(t) {
		for _, engine := range []string{"uring", "epoll"} {
			for _, secure := range []bool{false, true} {
				if secure && service.clear || service.some && secure == (engine == "uring") || engine == "uring" && !slices.Contains(engines(), "uring") {
					continue
				}
				name := service.name + "/" + engine
				if secure {
					name += "/TLS"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					abuse(t, service, engine, secure)
				})
			}
		}
	}
}

func abuse(t *testing.T, service abused, engine string, secure bool) {
	args := append(slices.Clone(service.args), "--engine", engine, "--listen=127.0.0.1:0", "--quiet", "--grace=1s")
	switch {
	case service.clear:
		args = append(args, "--back=127.0.0.1:0", "--max-message=64k", "--high-water-messages=100")
	default:
		args = append(args, "--idle-timeout=10s", "--message-timeout=3s", "--half-close-timeout=2s", "--write-timeout=5s", "--linger=1s",
			"--memory-limit=24M")
	}
	if service.opening == upgrade {
		args[slices.Index(args, "--listen=127.0.0.1:0")] = "--listen=ws://127.0.0.1:0"
		if secure {
			args[slices.Index(args, "--listen=ws://127.0.0.1:0")] = "--listen=wss://127.0.0.1:0"
		}
	}
	if secure {
		args = append(args, "--tls-self-signed", "--tls-timeout=5s")
	}
	limited := append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, hostileFiles), "sh", os.Args[0]}, serveArgs(args)...)
	s := start(t, exec.Command("sh", limited...))
	at := cmp.Or(service.at, "listening on ")
	address := strings.TrimPrefix(strings.TrimPrefix(s.await(at, 1)["msg"].(string), at), "ws")
	address = strings.TrimPrefix(strings.TrimPrefix(address, "s"), "://")

	good := goodClient(t, service, s, address, secure)
	if err := good(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), *hostileFor)
	defer stop()
	a := &attack{service: service, address: address, secure: secure}
	var attackers sync.WaitGroup
	for _, kind := range a.kinds() {
		for range 12 {
			attackers.Go(func() {
				for ctx.Err() == nil {
					kind(ctx)
				}
			})
		}
	}
	over := make(chan struct{})
	go func() { attackers.Wait(); close(over) }()
	var took []time.Duration
	for waits := true; waits; {
		select {
		case <-over:
			waits = false
		case <-time.After(2 * time.Millisecond):
		}
		begun := time.Now()
		if err := good(); err != nil {
			t.Errorf("after %d exchanges: %v", len(took), err)
			break
		}
		took = append(took, time.Since(begun))
	}
	stop()
	<-over
	if late := goodClient(t, service, s, address, secure); !service.clear {
		if err := late(); err != nil {
			t.Errorf("a client that came afterwards: %v", err)
		}
	}
	if peak := peakMemory(t, s.cmd.Process.Pid); peak > hostileMemory {
		t.Errorf("the server occupied %d MiB", peak>>20)
	} else if n := descriptors(t, s); n > hostileFiles {
		t.Errorf("the server has %d descriptors", n)
	} else if slices.Sort(took); len(took) > 0 {
		t.Logf("%d connections, %d exchanges of a good client: p50 %v, p99 %v, at most %v; %d MiB at most", a.count(), len(took),
			took[len(took)/2].Round(time.Microsecond), took[len(took)*99/100].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond), peak>>20)
	}
	until(t, "all hostile clients are gone", func() bool { return descriptors(t, s) < 60 })
}

// The same clients, which read nothing of what they ask for, cost a server with a memory limit a fraction of what they cost one
// without.
func TestTheMemoryLimitIsWhatBoundsAServer(t *testing.T) {
	for _, engine := range []string{"uring", "epoll"} {
		if !slices.Contains(engines(), engine) {
			continue
		}
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			const clients, least, most = 120, 100 << 20, 72 << 20
			without := serve(t, "echo", "--engine", engine, "--grace=100ms", "--memory-limit=0", "--high-water=1M", "--queue-limit=4M")
			ended := neverRead(t, without, clients)
			until(t, "they cost 100 MiB", func() bool { return peakMemory(t, without.cmd.Process.Pid) >= least })
			if n := ended.Load(); n > 0 {
				t.Errorf("without a limit %d were reset", n)
			}
			without.stop()
			with := serve(t, "echo", "--engine", engine, "--grace=100ms", "--memory-limit=16M", "--high-water=1M", "--queue-limit=4M")
			ended = neverRead(t, with, clients)
			until(t, "most are reset", func() bool { return ended.Load() > clients/2 })
			if peak := peakMemory(t, with.cmd.Process.Pid); peak > most {
				t.Errorf("with the limit they cost %d MiB", peak>>20)
			} else {
				t.Logf("with the limit they cost %d MiB", peak>>20)
			}
		})
	}
}

// neverRead connects clients which send without an end and read nothing, until the test is over, and counts those that are reset.
func neverRead(t *testing.T, s *server, clients int) (ended *atomic.Int64) {
	t.Helper()
	ended = new(atomic.Int64)
	for range clients {
		conn := client(t, s)
		conn.SetReadBuffer(4 << 10)
		go func() {
			endless(conn, strings.Repeat("x", 64<<10))
			ended.Add(1)
		}()
	}
	return ended
}

// goodClient connects one that means well.
func goodClient(t *testing.T, service abused, s *server, address string, secure bool) func() error {
	t.Helper()
	if service.clear {
		return requester(t, s, address)
	}
	return service.good(func() net.Conn {
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience + *hostileFor))
		return conn
	})
}

// requester is a REQ, with a REP of its own behind the queue.
func requester(t *testing.T, s *server, address string) func() error {
	t.Helper()
	back := ""
	for _, e := range s.entries("listening on ") {
		if e["side"] == "back" {
			back = strings.TrimPrefix(e["msg"].(string), "listening on ")
		}
	}
	if back == "" {
		back = strings.TrimPrefix(s.await("listening on ", 2)["msg"].(string), "listening on ")
	}
	c := new(zmtp.Context)
	t.Cleanup(func() { c.Close() })
	rep, err1 := c.NewSocket(zmtp.REP, nil)
	req, err2 := c.NewSocket(zmtp.REQ, nil)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := rep.Connect("tcp://" + back); err != nil {
		t.Fatal(err)
	}
	if err := req.Connect("tcp://" + address); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, err := rep.Recv()
			if err != nil || rep.Send(m...) != nil {
				return
			}
		}
	}()
	return func() error {
		if err := req.Send([]byte("hello")); err != nil {
			return err
		}
		_, err := req.Recv()
		return err
	}
}

// peakMemory is the most that a process has occupied, in bytes.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	var kilobytes int64
	if _, err := fmt.Sscan(string(rest), &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
