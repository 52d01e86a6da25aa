package engine_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// TestContractOnThisKernel plays the same owner over the real kernel, against connections of package net.
func TestContractOnThisKernel(t *testing.T) {
	for _, name := range engine.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, exits := range []float64{0, 0.001} {
				overReal(t, name, exits)
			}
		})
	}
}

func overReal(t *testing.T, name string, exits float64) {
	const clients = 24
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	o := &owner{k: engine.System, rng: rand.New(rand.NewPCG(1, 2)), conns: make(map[*engine.Line]*conn), exits: exits, stream: true, lasts: true}
	raw.Control(func(fd uintptr) { o.ln.FD, err = rawio.Dup(int(fd)) })
	if err != nil {
		t.Fatal(err)
	}
	defer rawio.Close(o.ln.FD)
	var mu sync.Mutex
	streams := make(map[netip.AddrPort]*simkernel.Peer)
	o.peerOf = func(fd int) *simkernel.Peer {
		mu.Lock()
		defer mu.Unlock()
		peer, _ := engine.System.PeerName(fd)
		at, _ := peer.AddrPort()
		return streams[at]
	}
	if o.e, _, err = engine.New(engine.System, o, engine.Config{ReadBuffer: 4096, Lines: &o.lines}, name); err != nil {
		t.Fatal(err)
	}

	results := make(chan error, clients)
	for i := range clients {
		go func() {
			results <- func() error {
				s := &simkernel.Peer{Out: simkernel.Stream(2 * i), In: simkernel.Stream(2*i + 1)}
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
				mu.Lock() // so that nobody accepts it before it is known
				c, err := d.DialContext(t.Context(), "tcp4", l.Addr().String())
				if err == nil {
					streams[c.LocalAddr().(*net.TCPAddr).AddrPort()] = s
				}
				mu.Unlock()
				if err != nil {
					return err
				}
				defer c.Close()
				return converse(c.(*net.TCPConn), s, exits > 0)
			}()
		}()
	}

	var over atomic.Bool
	finished := make(chan error, 1)
	go func() {
		var all error
		for range clients {
			all = errors.Join(all, <-results)
		}
		over.Store(true)
		o.e.Wake()
		finished <- all
	}()
	for ended := false; !ended; {
		onGoroutine(o, func() {
			for !over.Load() && len(o.faults) == 0 {
				patience := o.turn()
				o.waiting = true
				if err := o.e.Wait(patience); err != nil {
					o.fault("Wait: %v", err)
				}
				o.waiting = false
			}
			if p := o.e.Processor(); exits == 0 && (p > 0) != (name == "uring") {
				o.fault("its thread has used the processor for %v", p)
			}
			o.exits = 0
			for _, c := range o.sorted() {
				if c.batched {
					o.submit()
				}
				c.failed = true
				c.release()
			}
			o.e.Close()
			ended = true
		})
	}
	if err := <-finished; err != nil {
		t.Error(err)
	}
	if len(o.faults) > 0 {
		t.Error(strings.Join(o.faults, "\n"))
	}
}

const conversation = 200_000 // bytes that a client sends

// converse sends a stream and reads another at once, and checks it. broken says that the connection may end in the midst.
func converse(c *net.TCPConn, s *simkernel.Peer, broken bool) error {
	deadline := time.Now().Add(time.Minute)
	c.SetDeadline(deadline)
	written := make(chan error, 1)
	go func() {
		p := make([]byte, conversation)
		s.Out.Fill(p, 0)
		_, err := c.Write(p)
		written <- errors.Join(err, c.CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if i := s.In.Check(got, 0); i >= 0 {
		return fmt.Errorf("client %d: byte %d of what it reads is wrong", s.Out/2, i)
	}
	sent := <-written
	if err = errors.Join(err, sent); err != nil && (!broken || errors.Is(err, errTimeout)) {
		return fmt.Errorf("client %d, after %d bytes: %w", s.Out/2, len(got), err)
	}
	return nil
}

var errTimeout = os.ErrDeadlineExceeded
