package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
)

func TestTheProxyPassesOnProgramsThatNobodyHereWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "echo.sock")
	at, to := []string{"--listen=127.0.0.1:0", "--listen=[::1]:0"}, []string{}
	if systest.HasUnix() {
		to = append(to, "unix:"+path)
		at = append(at, "--listen=unix:"+path)
	}
	echo := serve(t, append([]string{"echo"}, at...)...)
	for _, to := range append(to, echo.addrs[:2]...) {
		front := filepath.Join(t.TempDir(), "front.sock")
		if systest.HasUnix() {
			at[2] = "--listen=unix:" + front
		}
		proxy := proxyTo(t, []string{to}, at...)
		host, port, _ := net.SplitHostPort(proxy.addrs[0])
		_, port6, _ := net.SplitHostPort(proxy.addrs[1])
		said := noise(11, 1_000_000)
		all := map[string][]byte{
			"nc":           peer(t, said, "nc", "-N", host, port),
			"socat":        peer(t, said, "socat", "-t30", "-", "TCP4:"+proxy.addrs[0]),
			"Python, IPv6": peer(t, said, "python3", "testdata/socket_client.py", "::1", port6),
		}
		if systest.HasUnix() {
			all["nc, Unix"] = peer(t, said, "nc", "-N", "-U", front)
		}
		for name, heard := range all {
			if !bytes.Equal(heard, said) {
				t.Errorf("%s, to %s: %d bytes came back of %d", name, to, len(heard), len(said))
			}
		}
	}
}

// pythonWeb starts a web server that nobody here wrote, and returns its address and its /page.
func pythonWeb(t testing.TB) (address string, page []byte) {
	t.Helper()
	dir := t.TempDir()
	page = noise(3, 3_000_000)
	if err := os.WriteFile(filepath.Join(dir, "page"), page, 0o600); err != nil {
		t.Fatal(err)
	}
	web := exec.Command(installed(t, "python3"), "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, "0")
	web.Stderr = nil
	out, err := web.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := web.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		web.Process.Kill()
		web.Wait()
	})
	var port int
	if _, err := fmt.Fscanf(out, "Serving HTTP on 127.0.0.1 port %d", &port); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port), page
}

func TestCurlReachesAPythonServerThroughTheProxy(t *testing.T) {
	web, page := pythonWeb(t)
	proxy := proxyTo(t, []string{web})
	url := "http://" + proxy.addrs[0] + "/page"
	got := peer(t, nil, "curl", "--silent", "--show-error", "--fail", url, url, url)
	if !bytes.Equal(got, bytes.Repeat(page, 3)) {
		t.Errorf("%d bytes of three times %d", len(got), len(page))
	}
}

func TestTheProxyPassesOnHalfClosesBothWays(t *testing.T) {
	heard := make(chan string, 1)
	target := listener(t, func(conn *net.TCPConn) {
		io.WriteString(conn, "I have said it all")
		conn.CloseWrite()
		said, err := io.ReadAll(conn)
		heard <- fmt.Sprint(string(said), err)
	})
	conn := client(t, proxyTo(t, []string{target}))
	if got, err := io.ReadAll(conn); err != nil || string(got) != "I have said it all" {
		t.Errorf("got %q, %v", got, err)
	}
	io.WriteString(conn, "but I have not")
	conn.CloseWrite()
	if got := <-heard; got != "but I have not<nil>" {
		t.Errorf("the target got %s", got)
	}

	answering := listener(t, func(conn *net.TCPConn) {
		said, _ := io.ReadAll(conn)
		conn.Write(bytes.ToUpper(said))
	})
	conn = client(t, proxyTo(t, []string{answering}))
	io.WriteString(conn, "a question")
	conn.CloseWrite()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "A QUESTION" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestClientsThatReadSlowlyAreBoundedInTheProxy(t *testing.T) {
	proxy := proxyTo(t, serve(t, "chargen").addrs)
	before := resident(t, proxy)
	var conns []*net.TCPConn
	for range 30 {
		conn := client(t, proxy)
		conn.SetReadBuffer(4096)
		if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if now := resident(t, proxy); now > before+32<<20 {
			t.Fatalf("grown from %d MB to %d MB", before>>20, now>>20)
		}
	}
	spinsNot(t, proxy)
	got := make([]byte, 10_000)
	if _, err := io.ReadFull(conns[7], got); err != nil { // goes on where it stopped
		t.Error(err)
	}
	if !bytes.Contains(got, []byte("!\"#$%&'()")) {
		t.Errorf("not the pattern: %q", got[:100])
	}
}

func TestTheProxyHangsUpOnIdleLinesAndNotOnBusyOnes(t *testing.T) {
	proxy := proxyTo(t, serve(t, "echo").addrs, "--idle-timeout=1500ms") // of which a busy machine takes some
	silent, busy := client(t, proxy), client(t, proxy)
	hungUp := make(chan error, 1)
	go func() {
		_, err := silent.Read(make([]byte, 1))
		hungUp <- err
	}()
	for beat := time.NewTicker(50 * time.Millisecond); len(hungUp) == 0; <-beat.C {
		echoes(t, busy, []byte("here"))
	}
	if err := <-hungUp; err != io.EOF {
		t.Errorf("the silent client got %v", err)
	}
	echoes(t, busy, []byte("still"))
}

// An answer that is awaited when the signal comes is passed on.
func TestAProxyThatShutsDownLetsLinesEndByThemselves(t *testing.T) {
	asked, answer := make(chan bool, 100), make(chan bool) // 100: those below who are accepted still ask, too
	target := listener(t, func(conn *net.TCPConn) {
		io.ReadFull(conn, make([]byte, 5))
		asked <- true
		<-answer
		io.WriteString(conn, "at last")
	})
	proxy := proxyTo(t, []string{target}, "--grace=30s")
	conn := client(t, proxy)
	io.WriteString(conn, "what?")
	<-asked
	systest.Terminate(proxy.cmd.Process)
	proxy.await("shutting down", 1)
	until(t, "connections are refused", func() bool {
		conn, err := net.Dial("tcp", proxy.addrs[0])
		if err == nil {
			conn.Close()
		}
		return systest.Is(err, syscall.ECONNREFUSED)
	})
	close(answer)
	if got, err := io.ReadAll(conn); err != nil || string(got) != "at last" {
		t.Errorf("got %q, %v", got, err)
	}
	conn.Close()
	if code := proxy.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// With 64 descriptors a proxy has room for few clients at once. The others wait, and each is served.
func TestAProxyWithFewDescriptorsServesEverybodyInTurn(t *testing.T) {
	const refusal, failure, pause = "refused a client", "a target does not answer", "accepting pauses"
	t.Run("1", func(t *testing.T) { servesInTurn(t, "1", refusal, failure, pause) })
	// With 8 loops less than half are left for clients, which then take all of them: a ring closes those of connections that have
	// ended with its next batch, and accepting may pause until then.
	t.Run("8", func(t *testing.T) { servesInTurn(t, "8", refusal, failure) })
}

func servesInTurn(t *testing.T, loops string, never ...string) {
	echo := serve(t, "echo")
	proxy := start(t, limited(t, serveArgs([]string{"proxy", "--to", echo.addrs[0], "--loops", loops})...))
	const clients = 200
	var conns []*net.TCPConn
	for range clients {
		conns = append(conns, client(t, proxy))
	}
	var all sync.WaitGroup
	for i, conn := range conns {
		all.Go(func() {
			defer conn.Close()
			if err := roundTrip(conn, noise(uint32(i), 100_000)); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for _, amiss := range never {
		if found := proxy.entries(amiss); len(found) > 0 {
			t.Errorf("%v", found[0])
		}
	}
}

func TestManyClientsOfAProxyGetEveryByteBack(t *testing.T) {
	echoes1, echoes2 := serve(t, "echo", "--quiet"), serve(t, "echo", "--quiet")
	proxy := proxyTo(t, []string{echoes1.addrs[0], echoes2.addrs[0]}, "--quiet")
	const clients, rounds = 400, 3
	var all sync.WaitGroup
	for i := range clients {
		conn := client(t, proxy)
		all.Go(func() {
			defer conn.Close()
			for round := range rounds {
				if err := roundTrip(conn, noise(uint32(i*rounds+round), 20_000)); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestVerboseTellsWhichTargetAClientHas(t *testing.T) {
	echo := serve(t, "echo")
	proxy := proxyTo(t, echo.addrs)
	conn := client(t, proxy)
	echoes(t, conn, []byte("hello"))
	conn.Close()
	e := proxy.await("disconnected", 1)
	want := map[string]any{"peer": conn.LocalAddr().String(), "target": echo.addrs[0], "received": 5.0, "sent": 5.0, "clients": 0.0}
	for key, value := range want {
		if e[key] != value {
			t.Errorf("%s is %v, want %v", key, e[key], value)
		}
	}
	keys := []string{}
	for _, e := range proxy.entries("connected") {
		keys = append(keys, fmt.Sprint(e["peer"]))
	}
	if !slices.Equal(keys, []string{conn.LocalAddr().String()}) {
		t.Errorf("connected: %v", keys)
	}
}

// A client that has ended its output waits for its answer. That there is none must not look like an empty one, and by default both
// times are the same.
func TestAHalfClosedClientIsNotIdle(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 5 {
		at := serve(t, "proxy", "--to="+l.Addr().String(), "--idle-timeout=500ms", "--half-close-timeout=500ms").addrs[0]
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		target, err := l.Accept() // it says nothing
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte("hello"))
		conn.(*net.TCPConn).CloseWrite()
		if n, err := conn.Read(make([]byte, 1)); !systest.Is(err, syscall.ECONNRESET) {
			t.Errorf("%d bytes, %v, want a reset", n, err)
		}
	}
}
