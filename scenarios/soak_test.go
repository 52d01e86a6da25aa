package scenarios

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

var (
	soakTime = flag.Duration("soak", 2*time.Second, "how long TestSoak runs; SWITCHBOARD_SOAK sets it as well")
	soakSeed = flag.Uint64("soak.seed", 0, "the seed of TestSoak's choices; 0 takes a new one")
)

// Clients of random behaviour talk to handlers of random behaviour for as long as -soak says, and every byte that comes
// back is compared with what was said:
//
//	go test -race -run TestSoak -soak 1h ./scenarios
func TestSoak(t *testing.T) {
	if value := os.Getenv("SWITCHBOARD_SOAK"); value != "" {
		var err error
		if *soakTime, err = time.ParseDuration(value); err != nil {
			t.Fatalf("SWITCHBOARD_SOAK: %v", err)
		}
	}
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("again with: go test -race -run TestSoak -soak %v -soak.seed %d ./scenarios", *soakTime, seed)
	share := *soakTime / time.Duration(len(engines())+2) // two of them over TLS as well
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		soak(t, s, seed, share)
	})
}

func soak(t *testing.T, s *switchboard.Server, seed uint64, d time.Duration) {
	s.HighWater, s.ReadBuffer, s.LingerTimeout, s.SlowCall, s.HandshakeTimeout = 32<<10, 16<<10, time.Second, -1, patience
	plain := newServer(t, s.Engine) // what the proxies dial
	plain.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
		return &moody{rand.New(rand.NewPCG(seed, uint64(c.RemoteAddr().(*net.TCPAddr).Port)))}, nil
	}
	backend := start(t, plain)
	byKind := map[string]func(c *switchboard.Conn) (switchboard.Handler, error){
		"echo": plain.Accept,
		"frames": func(c *switchboard.Conn) (switchboard.Handler, error) {
			return switchboard.Frames(scanNoise, func(c *switchboard.Conn, m []byte) error {
				_, err := c.Write(m)
				return err
			}), nil
		},
		"blocking": func(c *switchboard.Conn) (switchboard.Handler, error) {
			return switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
				p := make([]byte, 1+rand.IntN(10_000))
				n, err := r.Read(p)
				conn.Write(p[:n])
				if rand.IntN(100) == 0 {
					time.Sleep(time.Millisecond)
				}
				return err
			}), nil
		},
		"pipe": func(c *switchboard.Conn) (switchboard.Handler, error) {
			d, err := c.Dial(context.Background(), backend, watch(nil))
			if err != nil {
				return nil, err
			}
			h := watch(func(*switchboard.Conn, []byte) (int, error) { return 0, nil })
			c.Pause()
			c.Do(func() { switchboard.Pipe(c, d) })
			return h, nil
		},
	}
	servers := map[string]string{}
	for kind, accept := range byKind {
		one := &switchboard.Server{Engine: s.Engine, TLSConfig: s.TLSConfig, Logger: s.Logger, Loops: 2, Accept: accept,
			HighWater: s.HighWater, ReadBuffer: s.ReadBuffer, LingerTimeout: s.LingerTimeout, SlowCall: s.SlowCall,
			HandshakeTimeout: s.HandshakeTimeout}
		servers[kind] = start(t, one)
		t.Cleanup(func() {
			if !t.Failed() {
				eventually(t, "nobody of "+kind+" is left", func() bool { return one.Stats().Active == 0 })
			}
		})
	}
	var clients sync.WaitGroup
	var conversations count
	until := time.Now().Add(d)
	for worker := range 12 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(worker)))
			for time.Now().Before(until) && !t.Failed() {
				kind := []string{"echo", "frames", "blocking", "pipe"}[rng.IntN(4)]
				if err := converse(servers[kind], rng, s.TLSConfig != nil); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
				conversations.Add(1)
			}
		})
	}
	clients.Wait()
	t.Logf("%d conversations", conversations.Load())
}

// scanNoise cuts at a byte that random input has now and then.
func scanNoise(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// A moody handler echoes, but takes what it likes of its input when it likes.
type moody struct{ rng *rand.Rand }

func (h *moody) Data(c *switchboard.Conn, p []byte) (int, error) {
	resume := func() { c.Resume() }
	n := len(p)
	switch h.rng.IntN(20) {
	case 0:
		c.Pause()
		c.After(time.Duration(h.rng.IntN(3))*time.Millisecond, resume)
	case 1:
		c.Pause()
		go c.Do(resume)
	case 2:
		c.Pause() // what is left at the end of input by who is not paused is an error
		c.Do(resume)
		return 0, nil
	case 3, 4, 5:
		n = 1 + h.rng.IntN(n)
	case 6:
		c.SetHandler(&moody{h.rng})
	}
	if h.rng.IntN(2) == 0 {
		return c.Write(p[:n])
	}
	for cut := p[:n]; len(cut) > 0; {
		piece := 1 + h.rng.IntN(len(cut))
		if _, err := c.Writev(cut[:piece/2], cut[piece/2:piece]); err != nil {
			return 0, err
		}
		cut = cut[piece:]
	}
	return n, nil
}

func (h *moody) Closed(*switchboard.Conn, error) {}

// converse says random bytes in random cuts, and compares what comes back until it has all, or leaves in some ruder way.
func converse(address string, rng *rand.Rand, overTLS bool) error {
	raw, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(patience))
	conn := raw
	if overTLS {
		secure := tls.Client(raw, clientTLS())
		if err := secure.Handshake(); err != nil {
			return err
		}
		conn = secure
	}
	size := rng.IntN(1 << rng.IntN(20))
	rude := rng.IntN(4) == 0
	leaves := size + 1
	if rude {
		leaves = rng.IntN(size + 1)
	}
	var said, heard [32]byte
	said[0], said[1] = byte(rng.Uint32()), byte(rng.Uint32())
	heard = said
	cuts := rand.New(rand.NewPCG(rng.Uint64(), 0))
	spoken := make(chan error, 1)
	go func() {
		source := rand.NewChaCha8(said)
		for left := size; left > 0; {
			p := make([]byte, min(left, 1+cuts.IntN(1<<cuts.IntN(17))))
			source.Read(p)
			if _, err := conn.Write(p); err != nil {
				spoken <- err
				return
			}
			left -= len(p)
		}
		spoken <- conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	source, got := rand.NewChaCha8(heard), 0
	p, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		if got >= leaves {
			if rng.IntN(2) == 0 {
				raw.(*net.TCPConn).SetLinger(0)
			}
			raw.Close()
			<-spoken
			return nil
		}
		if rng.IntN(50) == 0 {
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
		}
		n, err := conn.Read(p[:1+rng.IntN(len(p))])
		source.Read(want[:n])
		if !bytes.Equal(p[:n], want[:n]) {
			return errors.New("what came back is not what was said")
		}
		got += n
		if err == io.EOF && got == size {
			return <-spoken
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", got, size, err)
		}
	}
}
