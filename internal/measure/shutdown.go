package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
)

// shutdown shuts an echo server down while clients come and send without end, and compares for each connection what the
// server took with what came back. The server is in this process, so that its handler can count.
func shutdown(flags *flag.FlagSet) func(context.Context) (bool, error) {
	clients := flags.Int("clients", 100, "clients that send")
	rounds := flags.Int("rounds", 20, "servers that are shut down")
	return func(ctx context.Context) (bool, error) {
		var sum outcome
		for range *rounds {
			o, err := shutDownOnce(ctx, *clients)
			if err != nil {
				return false, err
			}
			sum.connections += o.connections
			sum.taken += o.taken
			sum.lost += o.lost
			sum.longest = max(sum.longest, o.longest)
		}
		fmt.Printf("%d shutdowns under %d clients: of %.1f MB that %d connections had taken when they ended, %d bytes were lost; "+
			"a shutdown took %v at most\n", *rounds, *clients, float64(sum.taken)/1e6, sum.connections, sum.lost,
			sum.longest.Round(time.Millisecond))
		return sum.lost == 0 && sum.taken > 0, nil
	}
}

type outcome struct {
	connections, taken, lost int64
	longest                  time.Duration
}

// taken counts what the server took from each client, by the client's address.
type taken struct {
	mu     sync.Mutex
	counts map[string]*int64
}

func (t *taken) from(addr string) *int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts[addr] == nil {
		t.counts[addr] = new(int64)
	}
	return t.counts[addr]
}

func shutDownOnce(ctx context.Context, clients int) (o outcome, err error) {
	books := &taken{counts: map[string]*int64{}}
	echo := switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
		n, err := c.Write(p)
		*c.Value().(*int64) += int64(n)
		return n, err
	})
	s := &switchboard.Server{Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
		c.SetValue(books.from(c.RemoteAddr().String()))
		return echo, nil
	}}
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		return o, err
	}
	at, err := l.LocalAddr()
	if err != nil {
		return o, err
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeSocket(l) }()

	heard := make(chan heardBack, 1<<16)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() { talk(at.String(), heard) })
	}
	time.Sleep(50*time.Millisecond + rand.N(50*time.Millisecond)) // anywhere in the traffic
	began := time.Now()
	patience, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := s.Shutdown(patience); err != nil {
		return o, fmt.Errorf("shutdown: %w", err)
	}
	o.longest = time.Since(began)
	if err := <-served; !errors.Is(err, switchboard.ErrServerClosed) {
		return o, err
	}
	all.Wait()
	close(heard)
	for h := range heard {
		n := *books.from(h.addr)
		o.connections++
		o.taken += n
		o.lost += n - h.bytes
	}
	return o, nil
}

type heardBack struct {
	addr  string
	bytes int64
}

// talk connects again and again, sends for a while in pieces of any size, and counts what comes back until the server has
// ended the connection. It returns when there is no server any more.
func talk(address string, heard chan<- heardBack) {
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		var over atomic.Bool
		count := make(chan int64)
		go func() {
			n, err := io.Copy(io.Discard, conn)
			over.Store(true)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) {
				panic(err)
			}
			count <- n
		}()
		piece := make([]byte, 20_000)
		for range rand.N(2000) {
			if _, err := conn.Write(piece[:1+rand.N(len(piece))]); err != nil || over.Load() {
				break
			}
		}
		conn.(*net.TCPConn).CloseWrite()
		heard <- heardBack{conn.LocalAddr().String(), <-count}
		conn.Close()
	}
}
