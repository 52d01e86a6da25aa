package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
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

// A waiting is a switchboard listen that was started.
type waiting struct {
	t     *testing.T
	cmd   *exec.Cmd
	at    string // where it listens
	out   bytes.Buffer
	log   *bufio.Reader
	ended bool
}

// listens starts one, and waits until it listens. in is its standard input; nil is one that never ends.
func listens(t *testing.T, in io.Reader, args ...string) *waiting {
	t.Helper()
	w := &waiting{t: t, cmd: exec.Command(os.Args[0], args...)}
	w.cmd.Stdin, w.cmd.Stdout = in, &w.out
	if in == nil {
		if _, err := w.cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
	}
	systest.Interruptible(w.cmd)
	log, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.log = bufio.NewReader(log)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !w.ended {
			w.cmd.Process.Kill()
			w.cmd.Wait()
		}
	})
	line, err := w.log.ReadString('\n')
	at, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		rest, _ := io.ReadAll(w.log)
		t.Fatalf("%v: %q %s", err, line, rest)
	}
	w.at = at
	return w
}

// wait waits for its end, and returns what it printed.
func (w *waiting) wait() (out, log string, code int) {
	w.t.Helper()
	enough := time.AfterFunc(patience, func() { w.cmd.Process.Kill() })
	defer enough.Stop()
	rest, _ := io.ReadAll(w.log)
	w.cmd.Wait()
	w.ended = true
	return w.out.String(), string(rest), systest.ExitCode(w.cmd.ProcessState)
}

func split(t *testing.T, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

func TestListenTalksToNetcatBothWays(t *testing.T) {
	said, heard := noise(1, 3_000_000), noise(2, 2_000_000)
	for _, args := range [][]string{
		{"listen", "127.0.0.1:0"}, {"listen", "127.0.0.1", "0"}, {"dial", "-l", "127.0.0.1", "0"}, {"dial", "--listen", "127.0.0.1:0"},
		{"listen", "-4", "0"}, {"listen", "localhost", "0"}, {"listen", "-6", "::1", "0"},
	} {
		w := listens(t, bytes.NewReader(heard), args...)
		host, port := split(t, w.at)
		got := peer(t, said, "nc", "-N", host, port)
		out, log, code := w.wait()
		if !bytes.Equal(got, heard) || out != string(said) || code != 0 || log != "" {
			t.Errorf("%v: netcat has %d bytes of %d, and we %d of %d; exit code %d, %s", args, len(got), len(heard), len(out), len(said), code, log)
		}
		if conn, err := net.Dial("tcp", w.at); err == nil {
			conn.Close()
			t.Errorf("%v: it still listens", args)
		}
	}
}

func TestListenOnAUnixSocketTalksToSocat(t *testing.T) {
	needUnix(t)
	path := filepath.Join(t.TempDir(), "s")
	w := listens(t, strings.NewReader("from us"), "listen", "-v", path)
	got := peer(t, []byte("from socat"), "socat", "-t5", "-", "UNIX-CONNECT:"+path)
	out, log, code := w.wait()
	if string(got) != "from us" || out != "from socat" || code != 0 || !strings.HasPrefix(log, "connection from ") {
		t.Errorf("%q, %q, exit code %d, %q", got, out, code, log)
	}
}

func TestListenKeepServesOneAfterTheOther(t *testing.T) {
	w := listens(t, nil, "listen", "--keep", "127.0.0.1:0")
	host, port := split(t, w.at)
	for i := range 3 {
		peer(t, fmt.Appendf(nil, "client %d\n", i), "nc", "-N", host, port)
		conn, err := net.Dial("tcp", w.at)
		if err != nil {
			t.Fatal(err)
		}
		conn.(*net.TCPConn).SetLinger(0) // this one breaks off
		conn.Write([]byte("?"))
		conn.Close()
	}
	peer(t, []byte("the last\n"), "nc", "-N", host, port)
	systest.Interrupt(w.cmd.Process)
	out, _, _ := w.wait()
	if text := strings.ReplaceAll(out, "?", ""); text != "client 0\nclient 1\nclient 2\nthe last\n" {
		t.Errorf("%q", out)
	}
}

func TestListenKeepEndsWithItsOutput(t *testing.T) {
	disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer disk.Close()
	cmd := exec.Command(os.Args[0], "listen", "-kv", "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = disk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	in := bufio.NewReader(log)
	line, _ := in.ReadString('\n')
	conn, err := net.Dial("tcp", strings.TrimSpace(strings.TrimPrefix(line, "listening on ")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "hello")
	said, _ := io.ReadAll(in)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(said), "write standard output") {
		t.Errorf("exit code %d, %s", code, said)
	}
}

func TestListenKeepGivesItsInputToWhoIsThere(t *testing.T) {
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	w := listens(t, in, "listen", "-k", "-v", "127.0.0.1:0")
	for i := range 3 {
		conn, err := net.Dial("tcp", w.at)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		if line, err := w.log.ReadString('\n'); !strings.HasPrefix(line, "connection from 127.0.0.1:") {
			t.Fatalf("%q, %v", line, err)
		}
		want := fmt.Sprintf("for client %d\n", i)
		io.WriteString(typed, want)
		if line, err := bufio.NewReader(conn).ReadString('\n'); line != want {
			t.Errorf("client %d has %q, %v", i, line, err)
		}
		if i == 2 {
			typed.Close()
			if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
				t.Errorf("after the end of the input: %q, %v", rest, err)
			}
		}
		conn.Close()
	}
}

func TestNetcatsReflexes(t *testing.T) {
	where := listener(t, func(conn *net.TCPConn) {
		all, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "%q", all)
	})
	host, port := split(t, where)
	_, closed := split(t, nobody(t))
	mute := full(t)
	for _, c := range []struct {
		args      []string
		code      int
		out, says string
	}{
		{[]string{host, port}, 0, `"one\ntwo\r\nthree"`, ""},
		{[]string{"-C", host, port}, 0, `"one\r\ntwo\r\nthree"`, ""},
		{[]string{"-4", "localhost", port}, 0, `"one\ntwo\r\nthree"`, ""},
		{[]string{"-w", "5", "tcp://" + host, port}, 0, `"one\ntwo\r\nthree"`, ""},
		{[]string{"-zv", "-w5", host, port}, 0, "", "connected to " + where},
		{[]string{"-z", host, port}, 0, "", ""},
		{[]string{"-z", host, closed}, 1, "", "connection refused (nothing listens there)"},
		{[]string{"-6", host, port}, 1, "", host},
		{[]string{"-6", "-z", "localhost", closed}, 1, "", "localhost:" + closed}, // whether it has such an address or not
		{[]string{"-w", "0.1", mute}, exitTimeout, "", noConnect},
		{[]string{"-46", host, port}, 2, "", "exclude each other"},
		{[]string{"-uz", host, port}, 2, "", "no connection to test"},
		{[]string{"-4", "/tmp/s.sock"}, 2, "", "for HOST:PORT"},
		{[]string{"-k", host, port}, 2, "", "--keep is for --listen"},
		{[]string{"-C", "ws://" + where + "/"}, 2, "", "not for WebSocket"},
		{[]string{"-l", "-z", "0"}, 2, "", "--zero is not for --listen"},
		{[]string{"-l", "--tls-insecure", "0"}, 2, "", "--tls-insecure is not for --listen"},
		{[]string{"-l", "tls://:0"}, 2, "", "listen takes HOST:PORT, udp://, unix: and fd://"},
		{[]string{"-l", "ws://:0"}, 2, "", "switchboard serve"},
		{[]string{"-l", "-6", "127.0.0.1:0"}, 2, "", "not an address that --ipv6 allows"},
		{[]string{"-l", "-w", "0.1", "127.0.0.1:0"}, exitTimeout, "", "nobody connected within 100ms"},
		{[]string{"gopher://" + where}, 2, "", "dial takes HOST:PORT, tls://, udp://"},
		{[]string{host, port, "more"}, 2, "", "not 3 arguments"},
		{[]string{"-w", "soon", where}, 2, "", "try 5, 300ms or 1m30s"},
	} {
		out, complaint, code := once(t, "one\ntwo\r\nthree", append([]string{"dial"}, c.args...)...)
		if code != c.code || out != c.out || !strings.Contains(complaint, c.says) || (c.says == "") != (complaint == "") {
			t.Errorf("dial %v: exit code %d, %q, %q, wanted %d, %q, %q", c.args, code, out, complaint, c.code, c.out, c.says)
		}
	}
}

// TestLineEndsAreConvertedHoweverTheyAreRead gives every cut of a text.
func TestLineEndsAreConvertedHoweverTheyAreRead(t *testing.T) {
	const text, want = "\na\r\nb\n\n\r\n\rc\n", "\r\na\r\nb\r\n\r\n\r\n\rc\r\n"
	for i := range len(text) {
		for j := i; j <= len(text); j++ {
			var l lineEnds
			var got []byte
			for _, piece := range []string{text[:i], text[i:j], text[j:]} {
				got = append(got, l.convert([]byte(piece))...)
			}
			if string(got) != want {
				t.Errorf("cut at %d and %d: %q", i, j, got)
			}
		}
	}
}

// TestDialFailsWhenItsOutputIsClosedOrFull: a pipe is closed once nobody reads it. That the shell had no output at all
// (>&-) cannot be told from /dev/null, which Go's runtime opens in its place.
func TestDialFailsWhenItsOutputIsClosedOrFull(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /dev/full")
	}
	s := serve(t, "echo")
	web := serve(t, "echo", "--listen=ws://127.0.0.1:0")
	for _, c := range []struct {
		name, redirect string
		code           int
	}{
		{"full", ">/dev/full", exitFailed},
		{"nowhere", ">/dev/null", 0},
	} {
		for _, target := range []string{s.addrs[0], web.addrs[0]} {
			cmd := exec.Command("sh", "-c", `echo hello | "$0" dial -w 5 "$1" `+c.redirect, os.Args[0], target)
			complaint, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != c.code || (code == exitFailed) != strings.Contains(string(complaint), "standard output") {
				t.Errorf("%s, %s: exit code %d, %s", target, c.name, code, complaint)
			}
		}
	}
	for _, target := range []string{s.addrs[0], web.addrs[0]} {
		out, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		out.Close()
		cmd := exec.Command(os.Args[0], "dial", "-w", "5", target)
		cmd.Stdin, cmd.Stdout = strings.NewReader("hello\n"), w
		cmd.Run()
		w.Close()
		if code := systest.ExitCode(cmd.ProcessState); code != 128+int(syscall.SIGPIPE) {
			t.Errorf("%s, closed: %v", target, cmd.ProcessState)
		}
	}
	// Python's DEVNULL is open for reading, too.
	script := "import subprocess, sys\nsys.exit(subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, input=b'hello').returncode)"
	peer(t, nil, "python3", "-c", script, os.Args[0], "dial", s.addrs[0])
}

// TestARefusedNameHasOneReason: localhost has two addresses on many hosts.
func TestARefusedNameHasOneReason(t *testing.T) {
	one := func(addr string) error { return &socket.Error{Op: "connect", Addr: addr, Err: syscall.ECONNREFUSED} }
	both := &socket.Error{Op: "connect", Addr: "localhost:7", Err: errors.Join(one("[::1]:7"), one("127.0.0.1:7"))}
	if text := refused(both).Error(); text != "connect localhost:7: connection refused (nothing listens there)" {
		t.Error(text)
	}
	mixed := &socket.Error{Op: "connect", Addr: "localhost:7", Err: errors.Join(one("[::1]:7"), syscall.EHOSTUNREACH)}
	if text := refused(mixed).Error(); !strings.Contains(text, "[::1]:7") || !strings.Contains(text, syscall.EHOSTUNREACH.Error()) {
		t.Error(text)
	}
	for _, command := range []string{"dial", "bench"} {
		_, port := split(t, nobody(t))
		_, complaint, _ := once(t, "", command, "localhost:"+port)
		if want := "switchboard: connect localhost:" + port + ": connection refused (nothing listens there)\n"; complaint != want {
			t.Errorf("%q, wanted %q", complaint, want)
		}
	}
}
