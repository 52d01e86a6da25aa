//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/tlstest"
	"github.com/switchboard-go/switchboard/zmtp"
)

var hostileFor = flag.Duration("hostile", time.Second, "how long the hostile clients of TestHostileClients go on at each server")

const (
	hostileFiles  = 256       // descriptors that a server has
	hostileMemory = 128 << 20 // bytes that it may occupy
)

// An abused service is one that hostile clients know how to speak to.
type abused struct {
	name    string
	args    []string
	clear   bool   // it has no TLS
	opening string // after which a connection is served
	request string
	partial string // the beginning of a message; whatever follows is more of it
	giant   string // the beginning of what is longer than may be
	control string // what asks for an answer of the protocol's own

	// good returns one exchange of a client that means well.
	good func(conn net.Conn) func() error
}

// exchange is a good that sends something and expects something.
func exchanges(says, hears string) func(net.Conn) func() error {
	return func(conn net.Conn) func() error {
		return func() error {
			if _, err := io.WriteString(conn, says); err != nil {
				return err
			}
			got := make([]byte, len(hears))
			if _, err := io.ReadFull(conn, got); err != nil {
				return err
			}
			if string(got) != hears {
				return fmt.Errorf("%q came, not %q", got, hears)
			}
			return nil
		}
	}
}

// masked is a frame of a WebSocket's client, with a key of zeros.
func masked(first byte, length uint64, body string) string {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return string(append(b, 0, 0, 0, 0)) + body
}

const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// greeting is ZMTP 3.0 with NULL security, and READY of a DEALER.
var greeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + strings.Repeat("\x00", 16+1+31) +
	"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"

func abusedServices(t *testing.T) []abused {
	dir := t.TempDir()
	page := strings.Repeat("a page of some length\n", 100)
	if err := os.WriteFile(dir+"/page", []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 32<<10)
	return []abused{
		{name: "echo", args: []string{"echo"}, request: long, partial: "x", giant: long, good: exchanges("hello", "hello")},
		{name: "lines", args: []string{"lines"}, request: "hello\n", partial: "hello", giant: long, good: exchanges("hello\n", "HELLO\n")},
		{name: "chargen", args: []string{"chargen"}, request: "x", partial: "x", giant: long, good: func(conn net.Conn) func() error {
			return func() error {
				_, err := io.CopyN(io.Discard, conn, 74*100)
				return err
			}
		}},
		{name: "proxy", args: []string{"proxy", "--to", serve(t, "echo", "--quiet").addrs[0]}, request: long, partial: "x", giant: long,
			good: exchanges("hello", "hello")},
		{name: "web", args: []string{"web", "--root", dir}, request: "GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
			partial: "GET /page HTTP/1.1\r\nHost: x\r\nX: ", giant: "POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + long,
			control: "POST /page HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			good: func(conn net.Conn) func() error {
				in := bufio.NewReader(conn)
				return func() error {
					io.WriteString(conn, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
					answer, err := http.ReadResponse(in, nil)
					if err != nil {
						return err
					}
					got, err := io.ReadAll(answer.Body)
					if err == nil && string(got) != page {
						err = fmt.Errorf("a page of %d bytes came, with status %s", len(got), answer.Status)
					}
					return err
				}
			}},
		{name: "ws echo", args: []string{"echo"}, opening: upgrade, request: masked(0x82, 32<<10, long),
			partial: masked(0x02, 900_000, ""), giant: masked(0x82, 1<<62, long), control: masked(0x89, 4, "ping"),
			good: func(conn net.Conn) func() error {
				in := bufio.NewReader(conn)
				io.WriteString(conn, upgrade)
				answer, err := http.ReadResponse(in, nil)
				if err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
					err = fmt.Errorf("no WebSocket: %s", answer.Status)
				}
				return func() error {
					if err != nil {
						return err
					}
					io.WriteString(conn, masked(0x81, 5, "hello"))
					frame := make([]byte, 7)
					if _, err := io.ReadFull(in, frame); err != nil {
						return err
					}
					if string(frame) != "\x81\x05hello" {
						return fmt.Errorf("the frame %q came", frame)
					}
					return nil
				}
			}},
		{name: "zmq-queue", args: []string{"zmq-queue"}, clear: true, opening: greeting, request: "\x01\x00\x02" + string(rune(0x7f)) + "\x80" + long[:384],
			partial: "\x02\x00\x00\x00\x00\x00\x0f\x00\x00", giant: "\x02\x00\x00\x00\x7f\xff\xff\xff\xff" + long, control: "\x04\x07\x04PING\x00\x00"},
	}
}

// Hostile clients of every kind at once cost a server no more than it may cost, and keep it from serving nobody. What a
// client that means well waits for is printed (-v).
func TestHostileClients(t *testing.T) {
	for _, service := range abusedServices(t) {
		for _, engine := range []string{"uring", "epoll"} {
			for _, secure := range []bool{false, true} {
				if secure && service.clear || engine == "uring" && !slices.Contains(engines(), "uring") {
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
			"--tls-timeout=5s", "--memory-limit=24M")
	}
	if service.opening == upgrade {
		args[slices.Index(args, "--listen=127.0.0.1:0")] = "--listen=ws://127.0.0.1:0"
		if secure {
			args[slices.Index(args, "--listen=ws://127.0.0.1:0")] = "--listen=wss://127.0.0.1:0"
		}
	}
	if secure {
		args = append(args, "--tls-self-signed")
	}
	limited := append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, hostileFiles), "sh", os.Args[0]}, serveArgs(args)...)
	s := start(t, exec.Command("sh", limited...))
	address := strings.TrimPrefix(strings.TrimPrefix(s.await("listening on ", 1)["msg"].(string), "listening on "), "ws")
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

// goodClient connects one that means well.
func goodClient(t *testing.T, service abused, s *server, address string, secure bool) func() error {
	t.Helper()
	if service.clear {
		return requester(t, s, address)
	}
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience + *hostileFor))
	return service.good(conn)
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

// An attack is what hostile clients do to one server.
type attack struct {
	service abused
	address string
	secure  bool

	mu sync.Mutex
	n  int
}

func (a *attack) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

// kinds are all that there are, each for one connection.
func (a *attack) kinds() []func(context.Context) {
	all := []func(context.Context){a.storms, a.isSilent, a.halfCloses, a.resetsAfterItsEnd, a.drips, a.neverReads, a.readsSlowly, a.isGiant}
	if a.service.control != "" {
		all = append(all, a.pings)
	}
	if a.secure {
		all = append(all, a.saysHalfAHello, a.beginsHandshakes, a.updatesKeys)
	}
	return all
}

// connect opens a connection for as long as the attack lasts.
func (a *attack) connect(ctx context.Context) *net.TCPConn {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", a.address)
	if err != nil {
		return nil
	}
	a.mu.Lock()
	a.n++
	a.mu.Unlock()
	until, _ := ctx.Deadline()
	conn.SetDeadline(until)
	return conn.(*net.TCPConn)
}

// open is connect to where the service is spoken.
func (a *attack) open(ctx context.Context) (io.ReadWriter, *net.TCPConn) {
	raw := a.connect(ctx)
	if raw == nil {
		return nil, nil
	}
	raw.SetReadBuffer(4 << 10)
	var conn io.ReadWriter = raw
	if a.secure {
		over := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if over.Handshake() != nil {
			raw.Close()
			return nil, nil
		}
		conn = over
	}
	if _, err := io.WriteString(conn, a.service.opening); err != nil {
		raw.Close()
		return nil, nil
	}
	return conn, raw
}

// with has f use an open connection.
func (a *attack) with(ctx context.Context, f func(conn io.ReadWriter, raw *net.TCPConn)) {
	if conn, raw := a.open(ctx); conn != nil {
		defer raw.Close()
		f(conn, raw)
	}
}

// endless writes the same until the server or the attack ends it.
func endless(conn io.Writer, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

func (a *attack) storms(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		raw.SetLinger(0)
		raw.Close()
	}
}

func (a *attack) isSilent(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		raw.Read(make([]byte, 1))
		raw.Close()
	}
}

func (a *attack) halfCloses(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, raw *net.TCPConn) {
		io.WriteString(conn, a.service.request)
		raw.CloseWrite()
		<-ctx.Done()
	})
}

func (a *attack) resetsAfterItsEnd(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, raw *net.TCPConn) {
		io.WriteString(conn, a.service.request)
		raw.CloseWrite()
		time.Sleep(5 * time.Millisecond)
		raw.SetLinger(0)
	})
}

func (a *attack) drips(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) {
		text := a.service.partial + strings.Repeat("x", 1000)
		for i := range text {
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

func (a *attack) neverReads(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) { endless(conn, a.service.request) })
}

func (a *attack) readsSlowly(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) {
		go endless(conn, a.service.request)
		for p := make([]byte, 1); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if _, err := conn.Read(p); err != nil {
				return
			}
		}
	})
}

func (a *attack) isGiant(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, raw *net.TCPConn) {
		io.WriteString(conn, a.service.giant)
		go io.Copy(io.Discard, conn)
		endless(conn, strings.Repeat("x", 64<<10))
	})
}

func (a *attack) pings(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) { endless(conn, strings.Repeat(a.service.control, 100)) })
}

// hello is how a TLS client begins.
func hello() []byte {
	var said bytes.Buffer
	tls.Client(recorder{&said}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	return said.Bytes()
}

// A recorder is a connection on which nothing is heard.
type recorder struct{ *bytes.Buffer }

func (r recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r recorder) Close() error                     { return nil }
func (r recorder) LocalAddr() net.Addr              { return nil }
func (r recorder) RemoteAddr() net.Addr             { return nil }
func (r recorder) SetDeadline(time.Time) error      { return nil }
func (r recorder) SetReadDeadline(time.Time) error  { return nil }
func (r recorder) SetWriteDeadline(time.Time) error { return nil }

func (a *attack) saysHalfAHello(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		defer raw.Close()
		text := hello()
		raw.Write(text[:len(text)/2])
		raw.Read(make([]byte, 1))
	}
}

func (a *attack) beginsHandshakes(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		defer raw.Close()
		raw.Write(hello())
		time.Sleep(10 * time.Millisecond) // it answers, and hears no more
	}
}

func (a *attack) updatesKeys(ctx context.Context) {
	raw := a.connect(ctx)
	if raw == nil {
		return
	}
	defer raw.Close()
	rogue := new(tlstest.Rogue)
	over := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: rogue})
	if over.Handshake() != nil || rogue.Learn(true, over.ConnectionState().CipherSuite) != nil {
		return
	}
	for {
		if _, err := raw.Write(rogue.Flood(nil, 20)); err != nil {
			return
		}
	}
}
