package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/socket"
)

// proxyTo starts a proxy to the targets.
func proxyTo(t testing.TB, targets []string, args ...string) *server {
	t.Helper()
	args = append([]string{"proxy"}, args...)
	for _, to := range targets {
		args = append(args, "--to="+to)
	}
	return serve(t, args...)
}

// named is a target that says its name and then listens until the client ends.
func named(t testing.TB, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, name)
			go func() {
				defer conn.Close()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr().String()
}

// nameFor connects through the proxy and returns the name of the target behind it.
func nameFor(t testing.TB, proxy *server) (name string, conn *net.TCPConn) {
	t.Helper()
	conn = client(t, proxy)
	p := make([]byte, 1)
	if _, err := io.ReadFull(conn, p); err != nil {
		t.Fatal(err)
	}
	return string(p), conn
}

// blackHole is an address at which nobody answers: its backlog is full, and so the system drops who comes.
func blackHole(t testing.TB) string {
	t.Helper()
	l, err := socket.CreateServer("127.0.0.1:0", &socket.ServerOptions{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	at, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	for full := false; !full; {
		conn, err := net.DialTimeout("tcp", at.String(), 200*time.Millisecond)
		if full = err != nil; !full {
			t.Cleanup(func() { conn.Close() })
		}
	}
	return at.String()
}

// refusing is an address at which nobody listens.
func refusing(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestTheProxyTakesItsTargetsInTurn(t *testing.T) {
	proxy := proxyTo(t, []string{named(t, "a"), named(t, "b"), named(t, "c")})
	var all string
	for range 9 {
		name, _ := nameFor(t, proxy)
		all += name
	}
	if all != "abcabcabc" {
		t.Errorf("the targets were taken in the order %s", all)
	}
}

func TestTheProxyTakesTheTargetWithTheFewestConnections(t *testing.T) {
	proxy := proxyTo(t, []string{named(t, "a"), named(t, "b")}, "--balance=least-conn")
	held := map[string][]*net.TCPConn{}
	take := func() string {
		name, conn := nameFor(t, proxy)
		held[name] = append(held[name], conn)
		return name
	}
	for range 6 {
		take()
	}
	if len(held["a"]) != 3 || len(held["b"]) != 3 {
		t.Fatalf("%d and %d of six", len(held["a"]), len(held["b"]))
	}
	for _, conn := range held["b"] {
		conn.Close()
	}
	for n := range held["b"] {
		proxy.await("disconnected", n+1)
	}
	for range 3 {
		if name := take(); name != "b" {
			t.Errorf("took %s, which has more", name)
		}
	}
}

func TestTheProxySkipsATargetThatDiedAndTakesItBack(t *testing.T) {
	first, second := serve(t, "echo"), serve(t, "echo")
	proxy := proxyTo(t, []string{first.addrs[0], second.addrs[0]})
	served := func(n int) {
		t.Helper()
		for range n {
			conn := client(t, proxy)
			echoes(t, conn, []byte("hello"))
			conn.Close()
		}
	}
	served(4)
	first.cmd.Process.Kill()
	first.wait()
	served(6)
	if e := proxy.await("a target does not answer", 1); e["target"] != first.addrs[0] ||
		!strings.Contains(fmt.Sprint(e["error"]), "connection refused") {
		t.Errorf("%v", e)
	}
	again := serve(t, "echo", "--listen="+first.addrs[0])
	proxy.await("a target answers again", 1)
	served(6)
	again.await("connected", 3)
	if n := len(proxy.entries("a target does not answer")); n != 1 {
		t.Errorf("the log says %d times that it does not answer", n)
	}
}

func TestAClientForWhichNoTargetAnswersIsReset(t *testing.T) {
	targets := []string{refusing(t), refusing(t)}
	proxy := proxyTo(t, targets)
	for range 5 {
		conn, err := net.Dial("tcp", proxy.addrs[0])
		if err == nil {
			_, err = io.ReadAll(conn)
			conn.Close()
		}
		if !systest.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
	}
	reason := fmt.Sprint(proxy.await("refused a client", 1)["reason"])
	if !strings.Contains(reason, "no target answers: "+targets[0]+", "+targets[1]) {
		t.Errorf("the log says %q", reason)
	}
	spinsNot(t, proxy)
}

func TestATargetThatIsABlackHoleTimesOutAndTheNextIsTried(t *testing.T) {
	hole := blackHole(t)
	echo := serve(t, "echo")
	proxy := proxyTo(t, []string{hole, echo.addrs[0]}, "--connect-timeout=200ms")
	began := time.Now()
	echoes(t, client(t, proxy), []byte("hello"))
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("served after %v", took)
	}
	if e := proxy.await("a target does not answer", 1); e["target"] != hole ||
		!strings.Contains(fmt.Sprint(e["error"]), "timed out") {
		t.Errorf("%v", e)
	}
	for range 4 {
		echoes(t, client(t, proxy), []byte("hello"))
	}
}

// Clients that go while a target is connected to cost their descriptors until it has answered or timed out, and nobody
// else anything.
func TestClientsThatGoWhileATargetIsConnectedTo(t *testing.T) {
	proxy := proxyTo(t, []string{blackHole(t)}, "--connect-timeout=500ms")
	client(t, proxy).Close()
	proxy.await("disconnected", 1) // it has opened what it needs
	before := descriptors(t, proxy)
	for i := range 20 {
		conn := client(t, proxy)
		conn.Write([]byte("hello"))
		if i%2 == 0 {
			conn.SetLinger(0)
		}
		conn.Close()
	}
	proxy.await("disconnected", 21)
	const probe = 1 // of the target
	until(t, "their descriptors are closed", func() bool { return descriptors(t, proxy) <= before+probe })
	spinsNot(t, proxy)
}
