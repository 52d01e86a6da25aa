package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/socket"
)

// pythonServer starts an echo server that nobody here wrote for the length of a test, and returns what it announces.
func pythonServer(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(installed(t, "python3"), append([]string{"testdata/echo_server.py"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// listener is a peer that does what a test says with each connection.
func listener(t testing.TB, serve func(conn *net.TCPConn)) string {
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
			serve(conn.(*net.TCPConn))
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestDialTalksToServersThatNobodyHereWrote(t *testing.T) {
	said := string(noise(1, 3_000_000))
	servers := map[string]string{
		"Python socket":    "127.0.0.1:" + pythonServer(t, "socket"),
		"Python selectors": "localhost:" + pythonServer(t, "selectors"),
	}
	if runtime.GOOS != "windows" { // where Python has none
		servers["Python Unix"] = "unix:" + pythonServer(t, "unix", filepath.Join(t.TempDir(), "python.sock"))
	}
	for name, where := range servers {
		if heard, complaint, code := once(t, said, "dial", where); code != 0 || heard != said {
			t.Errorf("%s: %d bytes of %d, exit code %d, %s", name, len(heard), len(said), code, complaint)
		}
	}
}

// The peer answers only after the end of the input, as an HTTP/1.0 server may.
func TestDialPrintsWhatComesAfterItsInputHasEnded(t *testing.T) {
	where := listener(t, func(conn *net.TCPConn) {
		all, _ := io.ReadAll(conn)
		io.WriteString(conn, strings.ToUpper(string(all)))
	})
	if heard, complaint, code := once(t, "hello", "dial", where); heard != "HELLO" || code != 0 {
		t.Errorf("%q, exit code %d, %s", heard, code, complaint)
	}
}

func TestDialSendsItsInputToAPeerThatHasEndedFirst(t *testing.T) {
	said, got := string(noise(2, 5_000_000)), make(chan string, 1)
	where := listener(t, func(conn *net.TCPConn) {
		conn.CloseWrite()
		all, _ := io.ReadAll(conn)
		got <- string(all)
	})
	if _, complaint, code := once(t, said, "dial", where); code != 0 {
		t.Errorf("exit code %d, %s", code, complaint)
	}
	if heard := <-got; heard != said {
		t.Errorf("the peer got %d bytes of %d", len(heard), len(said))
	}
}

func TestDialTellsHowItEnded(t *testing.T) {
	silent := listener(t, func(conn *net.TCPConn) { io.Copy(io.Discard, conn) })
	rude := listener(t, func(conn *net.TCPConn) { io.ReadAll(conn); conn.SetLinger(0) })
	for _, end := range []struct {
		name      string
		args      []string
		code      int
		heard     string
		complaint string
	}{
		{"in order", []string{silent}, 0, "", ""},
		{"refused", []string{nobody(t)}, 1, "", "connection refused (nothing listens there)"},
		{"no such socket", []string{"unix:/tmp/no/such.sock"}, 1, "", "connect /tmp/no/such.sock: " + noFile},
		{"no such host", []string{"no-such-host.invalid:7"}, 1, "", "no-such-host.invalid"},
		{"reset", []string{rude}, 1, "", "connection reset by peer"},
		{"no answer", []string{"--timeout=100ms", full(t)}, exitTimeout, "", noConnect},
		{"source that is not here", []string{"--source=192.0.2.1", silent}, 1, "", "192.0.2.1"},
		{"no address", nil, 2, "", "needs one address"},
		{"two addresses", []string{"a:1", "b:2"}, 2, "", "needs one address"},
		{"no port", []string{"localhost"}, 2, "", "try localhost:7007"},
		{"no host", []string{":7007"}, 2, "", "try 127.0.0.1:7007"},
		{"descriptor", []string{"fd://0"}, 2, "", "takes no open descriptor"},
		{"no number", []string{"--timeout=soon", silent}, 2, "", "--timeout"},
		{"negative", []string{"--timeout=-1s", silent}, 2, "", "cannot be negative"},
		{"no source", []string{"--source=here", silent}, 2, "", "not IP or IP:PORT"},
		{"datagrams on Unix", []string{"--udp", "/tmp/s.sock"}, 2, "", "takes HOST:PORT"},
	} {
		heard, complaint, code := once(t, "hello", append([]string{"dial"}, end.args...)...)
		if code != end.code || heard != end.heard || !strings.Contains(complaint, end.complaint) ||
			strings.Count(complaint, "\n") != min(code, 1) {
			t.Errorf("%s: exit code %d, heard %q, complaint %q, want %+v", end.name, code, heard, complaint, end)
		}
	}
}

func TestDialGivesUpOnSilenceAndNotOnSlowness(t *testing.T) {
	enough := make(chan struct{})
	defer close(enough)
	where := listener(t, func(conn *net.TCPConn) {
		for range 6 {
			io.WriteString(conn, ".")
			time.Sleep(100 * time.Millisecond)
		}
		<-enough
	})
	heard, complaint, code := once(t, "", "dial", "--timeout=300ms", where)
	if heard != "......" || code != exitTimeout || !strings.Contains(complaint, "nothing sent or received for 300ms") {
		t.Errorf("%q, exit code %d, %q", heard, code, complaint)
	}
}

func TestDialShowsTheBytesOfBothDirections(t *testing.T) {
	where := listener(t, func(conn *net.TCPConn) {
		io.ReadAll(conn)
		io.WriteString(conn, "\x00\xffanswer")
	})
	heard, _, code := once(t, "twenty bytes of input", "dial", "--hex", where)
	want := "> 00000000  74 77 65 6e 74 79 20 62 79 74 65 73 20 6f 66 20  twenty bytes of \n" +
		"> 00000010  69 6e 70 75 74                                   input\n" +
		"< 00000000  00 ff 61 6e 73 77 65 72                          ..answer\n"
	if heard != want || code != 0 {
		t.Errorf("exit code %d, got\n%swant\n%s", code, heard, want)
	}
}

func TestDialConnectsFromTheSourceItIsGiven(t *testing.T) {
	where := listener(t, func(conn *net.TCPConn) { io.WriteString(conn, conn.RemoteAddr().String()) })
	free := nobody(t)
	if heard, complaint, code := once(t, "", "dial", "--source", free, where); heard != free || code != 0 {
		t.Errorf("from %q, not %s; exit code %d, %s", heard, free, code, complaint)
	}
}

func TestDialSpeaksDatagrams(t *testing.T) {
	echo := "127.0.0.1:" + pythonServer(t, "udp")
	largest := string(noise(1, 65_507))
	heard, complaint, code := once(t, largest, "dial", "--udp", "--timeout=500ms", echo)
	if heard != largest || code != 0 {
		t.Errorf("%d bytes of %d, exit code %d, %s", len(heard), len(largest), code, complaint)
	}
	heard, complaint, code = once(t, "hello", "dial", "--udp", "[::1]:"+pythonServer(t, "udp6"))
	if heard != "hello" || code != 0 {
		t.Errorf("IPv6: %q, exit code %d, %s", heard, code, complaint)
	}

	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	where := mute.LocalAddr().String()
	if _, complaint, code := once(t, "hello", "dial", "--udp", "--timeout=100ms", where); code != exitTimeout {
		t.Errorf("no reply: exit code %d, %s", code, complaint)
	}
	mute.Close()
	_, complaint, code = once(t, "hello", "dial", "--udp", where)
	if code != 1 || !strings.Contains(complaint, "refused") {
		t.Errorf("nobody there: exit code %d, %s", code, complaint)
	}
}

func TestDialEndsWithItsOutput(t *testing.T) {
	s := serve(t, "chargen")
	dial := exec.Command(os.Args[0], "dial", s.addrs[0])
	out, err := dial.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dial.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(out, make([]byte, 1000))
	out.Close()
	dial.Wait()
	if code := systest.ExitCode(dial.ProcessState); code != 128+int(syscall.SIGPIPE) && (code != exitFailed || runtime.GOOS != "windows") {
		t.Errorf("when nobody reads: %v", dial.ProcessState)
	}

	disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer disk.Close()
	var complaint strings.Builder
	dial = exec.Command(os.Args[0], "dial", s.addrs[0])
	dial.Stdout, dial.Stderr = disk, &complaint
	dial.Run()
	if code := dial.ProcessState.ExitCode(); code != 1 || !strings.Contains(complaint.String(), syscall.ENOSPC.Error()) && runtime.GOOS != "windows" {
		t.Errorf("when the disk is full: exit code %d, %s", code, complaint.String())
	}
}

func TestDialEndsOnInterrupt(t *testing.T) {
	connected := make(chan struct{})
	where := listener(t, func(conn *net.TCPConn) { close(connected); io.Copy(io.Discard, conn) })
	dial := exec.Command(os.Args[0], "dial", where)
	systest.Interruptible(dial)
	if _, err := dial.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := dial.Start(); err != nil {
		t.Fatal(err)
	}
	<-connected
	systest.Interrupt(dial.Process)
	dial.Wait()
	const controlC = 0xC000013A // STATUS_CONTROL_C_EXIT
	if code := systest.ExitCode(dial.ProcessState); code != 128+int(syscall.SIGINT) && (uint32(code) != controlC || runtime.GOOS != "windows") {
		t.Errorf("%v", dial.ProcessState)
	}
}

// Nobody wants to press a key to be told that the peer has gone.
func TestDialAtATerminalEndsWithThePeer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no pseudo-terminals of that kind")
	}
	where := listener(t, func(conn *net.TCPConn) { io.WriteString(conn, "goodbye\n") })
	out := peer(t, nil, "python3", "testdata/in_terminal.py", os.Args[0], "dial", where)
	if string(out) != "goodbye\r\nexit code 0\n" {
		t.Errorf("%q", out)
	}
}

// nobody is an address at which nobody listens.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// full is the address of a listener whose backlog is full, so that a connection is neither made nor refused.
func full(t testing.TB) string {
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
	for {
		conn, err := net.DialTimeout("tcp", at.String(), 300*time.Millisecond)
		if err != nil {
			return at.String()
		}
		t.Cleanup(func() { conn.Close() })
	}
}
