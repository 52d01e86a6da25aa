//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A manager stands for systemd: it hears what a service tells.
type manager struct {
	t    testing.TB
	path string
	conn *net.UnixConn
}

func newManager(t testing.TB) *manager {
	t.Helper()
	m := &manager{t: t, path: filepath.Join(t.TempDir(), "notify")}
	var err error
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.conn.Close() })
	return m
}

// hears waits for a message that begins so, past those of the watchdog unless it is one.
func (m *manager) hears(want string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		b := make([]byte, 1000)
		n, err := m.conn.Read(b)
		if err != nil {
			m.t.Fatal(err)
		}
		if got := string(b[:n]); strings.HasPrefix(got, want) {
			return
		} else if got != "WATCHDOG=1" {
			m.t.Fatalf("the manager heard %q, want %q", got, want)
		}
	}
}

// serves starts a server with what a shell says before it, such as its environment. The shell becomes the server.
func serves(t testing.TB, before string, args ...string) *server {
	t.Helper()
	shell := exec.Command("sh", append([]string{"-c", before + ` exec "$0" "$@"`, os.Args[0]}, serveArgs(args)...)...)
	return start(t, shell)
}

func TestTheManagerHearsHowTheServiceDoes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"loop", "goroutines"} {
		m := newManager(t)
		s := serves(t, "export NOTIFY_SOCKET="+m.path+" WATCHDOG_USEC=200000 WATCHDOG_PID=$$;", "echo", "--mode="+mode)
		m.hears("READY=1")
		for range 3 {
			m.hears("WATCHDOG=1")
		}
		s.cmd.Process.Signal(syscall.SIGHUP)
		m.hears("RELOADING=1\nMONOTONIC_USEC=")
		m.hears("READY=1")
		echoes(t, client(t, s), []byte("hello"))
		s.cmd.Process.Signal(syscall.SIGTERM)
		m.hears("STOPPING=1")
		if code := s.wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// systemd-socket-activate, of systemd, listens and passes its sockets to a program.
func TestSystemdPassesSocketsByName(t *testing.T) {
	t.Parallel()
	program := installed(t, "systemd-socket-activate")
	dir := t.TempDir()
	var args, paths []string
	for i := range 3 {
		paths = append(paths, filepath.Join(dir, fmt.Sprint(i)))
		args = append(args, "-l", paths[i])
	}
	log := filepath.Join(dir, "log")
	args = append(args, "--fdname=web:other:web", "-E", asCommand+"=1", "sh", "-c", `exec "$0" "$@" 2>`+log, os.Args[0],
		"serve", "echo", "--verbose", "--listen=systemd:web")
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ended with %v", err)
		}
	}()
	for _, path := range []string{paths[0], paths[2]} {
		var conn net.Conn
		until(t, "it listens", func() (ok bool) { // the first client has the service started
			var err error
			conn, err = net.Dial("unix", path)
			return err == nil
		})
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if err := roundTrip(conn, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		until(t, "the log tells", func() bool { return strings.Contains(readFile(t, log), "listening on unix://"+path) })
	}
}

// fds passes two listening sockets as a manager does.
func fds(t testing.TB, cmd *exec.Cmd) (addresses []string) {
	t.Helper()
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		l.Close()
		t.Cleanup(func() { file.Close() })
	}
	return addresses
}

func TestPassedSocketsServeInEveryMode(t *testing.T) {
	inModes(t, append(eventModes, "goroutines", "processes", "blocking"), func(t *testing.T, mode string) {
		shell := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" "$@"`, os.Args[0], "serve", "echo", "--mode="+mode, "--log=json",
			"--verbose", "--listen=systemd:")
		addresses := fds(t, shell)
		s := start(t, shell)
		for _, address := range addresses {
			s.addrs = []string{address}
			echoes(t, client(t, s), []byte("hello"))
			s.await("listening on "+address, 1)
		}
	})
	t.Parallel()
	for env, want := range map[string]string{
		"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b": `no socket "web" was passed that is not in use: there are a, b`,
		"LISTEN_PID=1 LISTEN_FDS=2":                     "the sockets are for another one",
		"":                                              "$LISTEN_FDS is not set",
	} {
		shell := exec.Command("sh", "-c", env+` exec "$0" "$@"`, os.Args[0], "serve", "echo", "--listen=systemd:web")
		fds(t, shell)
		out, err := shell.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "listen systemd:web: ") || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s", env, err, out)
		}
	}
	if out, err := exec.Command(os.Args[0], "dial", "systemd:web").CombinedOutput(); err == nil || !strings.Contains(string(out), "no open descriptor") {
		t.Errorf("%v, %s", err, fmt.Sprint(string(out)))
	}
}
