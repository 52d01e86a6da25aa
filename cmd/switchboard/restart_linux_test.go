package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
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
