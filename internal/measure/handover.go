package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// handovers restarts three servers of the command again and again under load: WebSockets, a raw echo, and a proxy. Every byte is
// checked. It prints for how long connections that always wait for an answer got none.
func handovers(flags *flag.FlagSet) func(context.Context) (bool, error) {
	idle := flags.Int("idle", 10_000, "idle WebSockets")
	busy := flags.Int("busy", 100, "busy WebSockets")
	streams := flags.Int("streams", 100, "busy streams of a raw echo")
	bulk := flags.Int("bulk", 50, "transfers through a proxy")
	rounds := flags.Int("rounds", 20, "restarts in a row")
	program := flags.String("switchboard", "", "the command to measure (default: it is built)")
	return func(ctx context.Context) (bool, error) {
		dir, err := os.MkdirTemp("", "handover")
		if err != nil {
			return false, err
		}
		defer os.RemoveAll(dir)
		if *program == "" {
			*program = filepath.Join(dir, "switchboard")
			if out, err := exec.CommandContext(ctx, "go", "build", "-o", *program, "./cmd/switchboard").CombinedOutput(); err != nil {
				return false, fmt.Errorf("%w\n%s", err, out)
			}
		}
		m := &handoverLoad{}
		defer m.end()
		return m.run(*program, *idle, *busy, *streams, *bulk, *rounds)
	}
}

type handoverLoad struct {
	servers []*restarted
	asking  []*asker
	over    atomic.Bool
	group   sync.WaitGroup
	failed  atomic.Int64
	bytes   atomic.Int64
	told    sync.Once
}

func (m *handoverLoad) end() {
	m.over.Store(true)
	for _, s := range m.servers {
		if p, err := os.FindProcess(s.pid); err == nil { // not the one that was started, after a restart
			p.Kill()
		}
		s.cmd.Wait()
	}
}

func (m *handoverLoad) run(program string, idle, busy, streams, bulk, rounds int) (bool, error) {
	var at [4]string
	for i, args := range [][]string{{"echo", "--listen", "ws://127.0.0.1:0"}, {"echo", "--listen", "127.0.0.1:0"},
		{"echo", "--listen", "127.0.0.1:0"}, {"proxy", "--listen", "127.0.0.1:0"}} {
		if i == 3 {
			args = append(args, "--to", at[2])
		}
		s, err := m.start(program, args)
		if err != nil {
			return false, err
		}
		at[i] = strings.TrimPrefix(s.address, "ws://")
	}
	restarted := []*restarted{m.servers[0], m.servers[1], m.servers[3]}
	var quiet []net.Conn
	for i := range idle + busy {
		c, err := dialWebSocket(at[0])
		if err != nil {
			return false, err
		}
		defer c.Close()
		if i < idle {
			quiet = append(quiet, c)
		} else {
			m.ask(c, askMessage)
		}
	}
	for range streams {
		c, err := net.Dial("tcp", at[1])
		if err != nil {
			return false, err
		}
		defer c.Close()
		m.ask(c, askBytes)
	}
	for range bulk {
		c, err := net.Dial("tcp", at[3])
		if err != nil {
			return false, err
		}
		defer c.Close()
		if err := askBytes(c, []byte("joined")); err != nil { // else it may be dialling yet, and stay
			return false, err
		}
		m.transfer(c)
	}
	for _, a := range m.asking {
		a.since.Store(time.Now().UnixNano())
	}
	var gaps, still, took []time.Duration
	moved, stayed := 0, 0
	for range rounds {
		for i, s := range restarted {
			for _, a := range m.asking {
				a.longest.Store(0)
			}
			began := time.Now()
			h, err := s.restart()
			if err != nil {
				return false, err
			}
			took = append(took, time.Since(began))
			moved, stayed = moved+h.Connections, stayed+h.Stayed
			if i == 0 {
				still = append(still, h.still)
			}
			time.Sleep(200 * time.Millisecond) // until who got no answer has got it
			for _, a := range m.asking {
				if i == a.server {
					gaps = append(gaps, time.Duration(max(a.longest.Load(), int64(time.Since(time.Unix(0, a.since.Load()))))))
				}
			}
		}
	}
	m.over.Store(true)
	m.group.Wait()
	for _, c := range quiet {
		if err := askMessage(c, []byte("was idle all the while")); err != nil {
			m.fail(err)
		}
	}
	slices.Sort(gaps)
	slices.Sort(still)
	slices.Sort(took)
	middle := func(d []time.Duration) time.Duration { return d[len(d)/2].Round(10 * time.Microsecond) }
	last := func(d []time.Duration) time.Duration { return d[len(d)-1].Round(10 * time.Microsecond) }
	fmt.Printf("%d restarts of each of 3 servers with %d idle and %d busy WebSockets, %d streams and %d transfers through a proxy:\n"+
		"%d connections moved and %d stayed; %d failed, of %.1f MB no byte was lost or doubled otherwise\n", rounds, idle, busy, streams, bulk,
		moved, stayed, m.failed.Load(), float64(m.bytes.Load())/1e6)
	fmt.Printf("no answer for: p50 %v, most %v\n", middle(gaps), last(gaps))
	fmt.Printf("the loops of the WebSockets' server stood still for: p50 %v, most %v\n", middle(still), last(still))
	fmt.Printf("from the signal to the end of the handover: p50 %v, most %v\n", middle(took), last(took))
	for i, s := range restarted {
		fmt.Printf("peak memory of server %d: old process %d KB, new process %d KB\n", i+1, s.peak, peakOf(s.pid))
	}
	return m.failed.Load() == 0 && stayed == 0, nil
}

// fail counts a failure, and prints the first.
func (m *handoverLoad) fail(err error) {
	m.failed.Add(1)
	m.told.Do(func() { fmt.Fprintln(os.Stderr, "measure:", err) })
}

// An asker is a connection that always waits for an answer.
type asker struct {
	server  int // whose restart concerns it
	longest atomic.Int64
	since   atomic.Int64
}

// ask has c ask again and again.
func (m *handoverLoad) ask(c net.Conn, how func(net.Conn, []byte) error) {
	a := &asker{}
	if c.RemoteAddr().String() == m.servers[1].address {
		a.server = 1
	}
	m.asking = append(m.asking, a)
	seed := uint64(len(m.asking))
	m.group.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 3))
		p := make([]byte, 64)
		for !m.over.Load() {
			for i := 0; i < len(p); i += 8 {
				binary.LittleEndian.PutUint64(p[i:], rng.Uint64())
			}
			began := time.Now()
			a.since.Store(began.UnixNano())
			if err := how(c, p); err != nil {
				m.fail(err)
				return
			}
			a.since.Store(time.Now().UnixNano())
			if d := int64(time.Since(began)); d > a.longest.Load() {
				a.longest.Store(d)
			}
			m.bytes.Add(int64(len(p)))
			time.Sleep(time.Millisecond) // so that the figures are of restarts, and not of this load
		}
	})
}

// transfer has c carry bytes both ways as fast as it can.
func (m *handoverLoad) transfer(c net.Conn) {
	seed := m.bytes.Load() + int64(len(m.asking))
	next := func(rng *rand.ChaCha8, p []byte) { rng.Read(p) }
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], uint64(seed))
	m.group.Go(func() {
		rng, p := rand.NewChaCha8(key), make([]byte, 32<<10)
		for !m.over.Load() {
			next(rng, p)
			if _, err := c.Write(p); err != nil {
				m.fail(err)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		c.(*net.TCPConn).CloseWrite()
	})
	m.group.Go(func() {
		rng, p, want := rand.NewChaCha8(key), make([]byte, 32<<10), make([]byte, 32<<10)
		for {
			n, err := io.ReadFull(c, p)
			if err == io.EOF {
				return
			}
			if next(rng, want); err != nil || !bytes.Equal(p[:n], want[:n]) {
				m.fail(fmt.Errorf("a transfer: %w", cmpOr(err, errors.New("other bytes came back"))))
				return
			}
			m.bytes.Add(int64(n))
		}
	})
}

func cmpOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func askBytes(c net.Conn, p []byte) error {
	if _, err := c.Write(p); err != nil {
		return err
	}
	got := make([]byte, len(p))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, p) {
		return errors.New("other bytes came back")
	}
	return nil
}

// askMessage is askBytes by a WebSocket message of less than 126 bytes, with a mask that changes nothing.
func askMessage(c net.Conn, p []byte) error {
	if _, err := c.Write(append([]byte{0x82, 0x80 | byte(len(p)), 0, 0, 0, 0}, p...)); err != nil {
		return err
	}
	got := make([]byte, 2+len(p))
	for n := 0; n < len(got); {
		k, err := c.Read(got[n:])
		if err != nil {
			return err
		}
		n += k
	}
	if got[0] != 0x82 || got[1] != byte(len(p)) || !bytes.Equal(got[2:], p) {
		return errors.New("another message came back")
	}
	return nil
}

func dialWebSocket(address string) (net.Conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n", address)
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one...) {
		if _, err := c.Read(one); err != nil {
			return nil, err
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return nil, fmt.Errorf("answered %q", head)
	}
	return c, nil
}

// A restarted server is the command, which is another process after each restart.
type restarted struct {
	cmd     *exec.Cmd
	pid     int
	peak    int // KB, of the process before
	address string
	log     chan handedOver
}

// handedOver is a line of the log.
type handedOver struct {
	Msg, Error, Still             string
	PID, Connections, Stayed, Why int
	still                         time.Duration
}

func (m *handoverLoad) start(program string, args []string) (*restarted, error) {
	s := &restarted{cmd: exec.Command(program, append([]string{"serve", "--log", "json", "--idle-timeout", "0"}, args...)...),
		log: make(chan handedOver, 100)}
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.pid = s.cmd.Process.Pid
	m.servers = append(m.servers, s)
	go func() {
		defer close(s.log)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var h handedOver
			if json.Unmarshal(lines.Bytes(), &h) == nil {
				s.log <- h
			}
		}
	}()
	h, err := s.await("listening on ")
	s.address = strings.TrimPrefix(h.Msg, "listening on ")
	return s, err
}

func (s *restarted) await(what string) (handedOver, error) {
	for h := range s.log {
		if strings.HasPrefix(h.Msg, what) {
			return h, nil
		}
		if h.Error != "" {
			return h, fmt.Errorf("%s: %s", h.Msg, h.Error)
		}
	}
	return handedOver{}, fmt.Errorf("the server ended, and %q was waited for", what)
}

// restart restarts the server, and returns when the handover is over.
func (s *restarted) restart() (handedOver, error) {
	s.peak = max(s.peak, peakOf(s.pid))
	if err := askToRestart(s.pid); err != nil {
		return handedOver{}, err
	}
	h, err := s.await("handed over")
	if err != nil {
		return h, err
	}
	s.pid = h.PID
	h.still, err = time.ParseDuration(h.Still)
	return h, err
}

// peakOf returns the most that a process has held of memory, in KB.
func peakOf(pid int) (kb int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &kb)
		}
	}
	return kb
}
