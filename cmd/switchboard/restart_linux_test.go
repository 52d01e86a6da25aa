package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restarting is a server that is restarted. When the test ends, so does the process that serves by then.
type restarting struct {
	*server
	pid, times int
}

func serveRestarting(t testing.TB, args ...string) *restarting {
	t.Helper()
	return restartable(t, serve(t, args...))
}

func restartable(t testing.TB, first *server) *restarting {
	s := &restarting{server: first}
	s.pid = s.cmd.Process.Pid
	t.Cleanup(func() {
		syscall.Kill(s.pid, syscall.SIGTERM) // before s.stop, which knows only the first
		if s.times > 0 {
			select {
			case <-s.ended:
			case <-time.After(patience):
				syscall.Kill(s.pid, syscall.SIGKILL)
				t.Error("the server does not end")
			}
		}
	})
	return s
}

// restart restarts the server, and returns what its log says.
func (s *restarting) restart() entry {
	s.t.Helper()
	if _, stderr, code := once(s.t, "", "restart", strconv.Itoa(s.pid)); code != 0 {
		s.t.Fatalf("exit code %d: %s", code, stderr)
	}
	s.times++
	e := s.await("handed over", s.times)
	if took := s.await("took over", s.times); took["pid"] != float64(s.pid) {
		s.t.Errorf("%v took over from %v, and not from %d", e["pid"], took["pid"], s.pid)
	}
	s.pid = int(e["pid"].(float64))
	return e
}

func TestARestartDropsNobody(t *testing.T) {
	for _, engine := range []string{"uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := serveRestarting(t, "echo", "--engine", engine)
			file := serveRestarting(t, "lines", "--engine", engine, "--listen=unix:"+filepath.Join(t.TempDir(), "s"))
			var conns []*net.TCPConn
			for range 50 {
				conns = append(conns, client(t, s.server))
			}
			line, err := net.Dial("unix", file.addrs[0][len("unix:"):])
			if err != nil {
				t.Fatal(err)
			}
			defer line.Close()
			line.SetDeadline(time.Now().Add(patience))
			for i := range 4 {
				for j, c := range conns {
					echoes(t, c, noise(uint32(j), 10_000))
				}
				if e := s.restart(); e["stayed"] != 0.0 || e["listeners"] != 1.0 {
					t.Errorf("%v", e)
				}
				conns = append(conns, client(t, s.server))
				io.WriteString(line, "half a ")
				file.restart()
				io.WriteString(line, "line "+strconv.Itoa(i)+"\n")
				want := "HALF A LINE " + strconv.Itoa(i) + "\n"
				got := make([]byte, len(want))
				if _, err := io.ReadFull(line, got); err != nil || string(got) != want {
					t.Errorf("%q, %v", got, err)
				}
				other, err := net.Dial("unix", file.addrs[0][len("unix:"):])
				if err != nil {
					t.Fatal(err) // the file must be there
				}
				other.Close()
			}
		})
	}
}

// The service manager is told which process it is by then, and hears nothing more of the old one.
func TestTheManagerHearsOfARestart(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s := restartable(t, serves(t, "export NOTIFY_SOCKET="+m.path+" WATCHDOG_USEC=200000 WATCHDOG_PID=$$;", "echo"))
	m.hears("READY=1")
	c := client(t, s.server)
	echoes(t, c, []byte("hello"))
	for range 2 {
		s.restart()
		m.hears("READY=1")
		m.hears("MAINPID=" + strconv.Itoa(s.pid))
		m.hears("WATCHDOG=1")
		echoes(t, c, []byte("hello"))
	}
	syscall.Kill(s.pid, syscall.SIGTERM)
	m.hears("STOPPING=1")
}

func TestARestartOfAProxyDropsNobody(t *testing.T) {
	for _, engine := range []string{"uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			target := serve(t, "echo", "--quiet")
			s := serveRestarting(t, "proxy", "--engine", engine, "--to", target.addrs[0])
			bulk := client(t, s.server)
			const size = 8 << 20
			p := noise(1, size)
			echoes(t, bulk, p[:1]) // it is joined
			go bulk.Write(p)
			idle := client(t, s.server)
			echoes(t, idle, p[:1])
			got := make([]byte, 0, size)
			for i := range 5 {
				part := make([]byte, size/8*(i+1)-len(got))
				if _, err := io.ReadFull(bulk, part); err != nil {
					t.Fatal(err)
				}
				got = append(got, part...)
				if e := s.restart(); e["connections"] != 4.0 || e["stayed"] != 0.0 {
					t.Errorf("%v", e)
				}
			}
			rest := make([]byte, size-len(got))
			if _, err := io.ReadFull(bulk, rest); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(append(got, rest...), p) {
				t.Error("the bytes are not the same")
			}
			echoes(t, idle, p[:1000])
			idle.CloseWrite()
			if n, err := idle.Read(make([]byte, 1)); err != io.EOF {
				t.Error(n, err)
			}
		})
	}
}

// TestAProgramThatDoesNotComeUpChangesNothing replaces the program of a server by one that fails.
func TestAProgramThatDoesNotComeUpChangesNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "switchboard")
	self, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, exec.Command(program, serveArgs([]string{"echo"})...))
	c := client(t, s)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	restart := func(n int, why string) {
		if _, stderr, code := once(t, "", "restart", strconv.Itoa(s.cmd.Process.Pid)); code != 0 {
			t.Fatal(stderr)
		}
		if e := s.await("the restart failed", n); !strings.Contains(e["error"].(string), why) {
			t.Errorf("%v does not say %q", e["error"], why)
		}
		echoes(t, c, []byte("still here"))
	}
	restart(1, "no such file")
	for i, c := range []struct{ script, why string }{{"exit 3", "ended before it took over (exit status 3)"}, {"exec 3>&-; exec sleep 100", "hung up"},
		{"kill -9 $$", "ended before it took over (signal: killed)"}} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		restart(2+i, c.why)
	}
	echoes(t, client(t, s), []byte("and for who is new"))
}

// What a client of TLS says first may be on its way when the server restarts.
func TestARestartWaitsForTheFirstWordOfAClient(t *testing.T) {
	for _, engine := range []string{"uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := serveRestarting(t, "echo", "--tls-self-signed", "--engine", engine)
			var silent []net.Conn
			for range 3 {
				silent = append(silent, client(t, s.server))
			}
			until(t, "all are accepted", func() bool { return acceptedBy(t, s.pid) == len(silent) })
			if e := s.restart(); e["stayed"] != 3.0 {
				t.Errorf("%v", e)
			}
			time.Sleep(50 * time.Millisecond) // the old process shuts down
			for _, c := range silent {
				secret := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				echoes(t, secret, []byte("hello"))
				c.Close()
			}
		})
	}
}

// asked returns a connection to an echo that answers, nil if it is refused, which may be before it is there.
func asked(address string) net.Conn {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil
	}
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "x")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		c.Close()
		return nil
	}
	return c
}

// Connections that came from the old process count for the limit of their address.
func TestTheLimitOfAnAddressOutlivesARestart(t *testing.T) {
	t.Parallel()
	s := serveRestarting(t, "echo", "--conns-per-address", "2")
	kept := []net.Conn{client(t, s.server), client(t, s.server)}
	for range 2 {
		for _, c := range kept {
			echoes(t, c, []byte("hello"))
		}
		s.restart()
		if c := asked(s.addrs[0]); c != nil {
			t.Error("a third connection is served")
			c.Close()
		}
		kept[0].Close()
		until(t, "another is served in its place", func() bool {
			kept[0] = asked(s.addrs[0])
			return kept[0] != nil
		})
		defer kept[0].Close()
	}
	echoes(t, kept[0], []byte("hello"))
}

// A new process that hangs does not outlive the end of the one that started it.
func TestTheEndOfAServerEndsWhatItStarted(t *testing.T) {
	program := filepath.Join(t.TempDir(), "switchboard")
	self, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, exec.Command(program, serveArgs([]string{"echo"})...))
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := once(t, "", "restart", strconv.Itoa(s.cmd.Process.Pid)); code != 0 {
		t.Fatal(stderr)
	}
	pid := int(s.await("restarting", 1)["pid"].(float64))
	syscall.Kill(s.cmd.Process.Pid, syscall.SIGTERM)
	until(t, "the new process has ended", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

// The last of the processes that hand a Unix socket on removes its file, unless it is another's by then.
func TestTheFileOfASocketGoesWithTheLastProcess(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		t.Run("replaced="+strconv.FormatBool(replaced), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s")
			s := serveRestarting(t, "lines", "--listen=unix:"+path)
			s.restart()
			s.restart()
			if _, err := os.Lstat(path); err != nil {
				t.Fatal(err)
			}
			if replaced {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				l, err := net.Listen("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
			}
			syscall.Kill(s.pid, syscall.SIGTERM)
			s.await("served", 3)
			if _, err := os.Lstat(path); replaced != (err == nil) {
				t.Error("at the end:", err)
			}
		})
	}
}

func TestOnlyAServerIsToldToRestart(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		sleep.Process.Kill()
		sleep.Wait()
	}()
	for _, args := range [][]string{{strconv.Itoa(sleep.Process.Pid)}, {"4194305"}} {
		if _, stderr, code := once(t, "", append([]string{"restart"}, args...)...); code != 1 {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	for _, args := range [][]string{{}, {"x"}, {"-1"}, {"0"}, {"1", "2"}} {
		if _, stderr, code := once(t, "", append([]string{"restart"}, args...)...); code != 2 {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	if err := sleep.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}

func TestARestartOfAWebServerMovesParkedConnections(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "page.txt"), []byte("a page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serveRestarting(t, "web", "--root", root, "--access-log", "off", "--park-after", "1ms")
	ask := func(c net.Conn, in *bufio.Reader, rest string) (closes bool) {
		t.Helper()
		io.WriteString(c, rest)
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(answer.Body)
		if err != nil || string(page) != "a page\n" {
			t.Fatalf("%v %q, %v", answer.Status, page, err)
		}
		return answer.Close
	}
	const request = "GET /page.txt HTTP/1.1\r\nHost: here\r\n\r\n"
	kept := client(t, s.server) // which may be parked by then, or not
	keptIn := bufio.NewReader(kept)
	if ask(kept, keptIn, request) {
		t.Error("the first answer is the last")
	}
	for range 3 {
		fresh, half := client(t, s.server), client(t, s.server)
		io.WriteString(half, request[:20])
		present := 2
		if kept != nil {
			present++
		}
		until(t, "all are accepted", func() bool { return acceptedBy(t, s.pid) >= present })
		e := s.restart()
		if e["connections"].(float64) < 2 {
			t.Errorf("%v", e)
		}
		for _, c := range []struct {
			conn net.Conn
			rest string
		}{{fresh, request}, {half, request[20:]}} {
			if ask(c.conn, bufio.NewReader(c.conn), c.rest) {
				t.Error("an answer after the restart is the last")
			}
			c.conn.Close()
		}
		if kept != nil && ask(kept, keptIn, request) { // it was not parked, and is told to go
			if n, err := keptIn.Read(make([]byte, 1)); err != io.EOF {
				t.Error(n, err)
			}
			kept = nil
		}
		until(t, "those are gone", func() bool { return acceptedBy(t, s.pid) <= present-2 })
	}
}

// A connection that cannot move, as it was answered a moment ago, gets one more answer, which says that it is the last.
func TestARestartOfAWebServerAnswersOnceMore(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "page.txt"), []byte("a page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--park-after", "1h"}, {"--park-after", "1h", "--tls-self-signed"}, {"--park-after", "1ms", "--tls-self-signed"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s := serveRestarting(t, append([]string{"web", "--root", root, "--access-log", "off", "--grace", "1m", "--loops", "1"}, args...)...)
			ask := func(c net.Conn) *http.Response {
				t.Helper()
				io.WriteString(c, "GET /page.txt HTTP/1.1\r\nHost: here\r\n\r\n")
				answer, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				if page, err := io.ReadAll(answer.Body); err != nil || string(page) != "a page\n" {
					t.Fatalf("%v %q, %v", answer.Status, page, err)
				}
				return answer
			}
			var conns []net.Conn
			for range 4 {
				c := net.Conn(client(t, s.server))
				if len(args) > 2 {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				if ask(c).Close {
					t.Error("the first answer is the last")
				}
				conns = append(conns, c)
			}
			time.Sleep(50 * time.Millisecond)
			if e := s.restart(); e["stayed"] != 4.0 {
				t.Errorf("%v", e)
			}
			time.Sleep(50 * time.Millisecond) // the old process shuts down
			for i, c := range conns[1:] {     // the first is asked to leave at once
				if !ask(c).Close {
					t.Errorf("the answer to client %d is not the last", i+1)
				}
			}
		})
	}
}

// acceptedBy returns how many sockets of a process are connected.
func acceptedBy(t testing.TB, pid int) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	sockets := map[string]bool{}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil {
			sockets[to] = true
		}
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[3] == "01" && sockets["socket:["+f[9]+"]"] { // established
			n++
		}
	}
	return n
}
