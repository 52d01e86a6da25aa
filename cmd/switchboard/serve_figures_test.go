//go:build unix

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServeSumsUpAtItsEndAndWhenItIsAsked(t *testing.T) {
	inModes(t, []string{"loop", "goroutines", "select"}, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode="+mode)
		host, port := split(t, s.addrs[0])
		peer(t, []byte("hello"), "nc", "-N", host, port)
		s.await("disconnected", 1)
		s.cmd.Process.Signal(syscall.SIGUSR1)
		st := s.await("statistics", 1)
		if st["clients"] != 0.0 || st["connections"] != 1.0 {
			t.Errorf("%v", st)
		}
		conn := client(t, s)
		echoes(t, conn, []byte("hello"))
		s.cmd.Process.Signal(syscall.SIGUSR1)
		if st := s.await("statistics", 2); st["clients"] != 1.0 || st["connections"] != 2.0 {
			t.Errorf("%v", st)
		}
		conn.Close()
		s.await("disconnected", 2)
		s.stop()
		end := s.await("served", 1)
		if end["connections"] != 2.0 || end["received"] != 10.0 || end["sent"] != 10.0 || end["clients"] != 0.0 || end["bytes"] != nil {
			t.Errorf("%v", end)
		}
		for name, e := range map[string]entry{"grace": s.await("shutting down", 1), "lasted": s.await("disconnected", 1)} {
			text, _ := e[name].(string)
			if d, err := time.ParseDuration(text); err != nil || d < 0 { // what came and went in one turn of a loop lasted 0s
				t.Errorf("%s is %v: %v", name, e[name], err)
			}
		}
	})
}

func TestAHangUpReadsCertificatesAgainAndKillsNobody(t *testing.T) {
	inModes(t, []string{"loop", "goroutines", "processes", "select"}, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode="+mode)
		conn := client(t, s)
		echoes(t, conn, []byte("before"))
		s.cmd.Process.Signal(syscall.SIGHUP)
		s.await("nothing to read again", 1)
		echoes(t, conn, []byte("after"))
	})
	a := newAuthority(t)
	cert, key := a.pair("localhost")
	s := serve(t, "echo", "--tls-cert="+cert, "--tls-key="+key)
	a.writes(cert, key, "localhost", time.Now().Add(48*time.Hour))
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.await("reading what changed", 1)
	s.await("a changed certificate serves from now on", 1) // and nobody has connected
}

func TestCountsOfTLSSayThatTheyAreEncrypted(t *testing.T) {
	s := serve(t, "echo", "--tls-self-signed")
	conn, err := tls.Dial("tcp", s.addrs[0], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	echoes(t, conn, []byte("hello"))
	conn.Close()
	if e := s.await("disconnected", 1); e["bytes"] != encrypted || e["received"].(float64) < 100 {
		t.Errorf("%v", e)
	}
	s.stop()
	if e := s.await("served", 1); e["bytes"] != encrypted || e["handshakes"] != 1.0 || e["received"].(float64) < 100 {
		t.Errorf("%v", e)
	}
}

// TestATerminalHasALineThatIsKeptCurrent looks at the screen of a real one.
func TestATerminalHasALineThatIsKeptCurrent(t *testing.T) {
	tmux := installed(t, "tmux")
	name := fmt.Sprintf("switchboard-serve-%d", os.Getpid())
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tmux, append([]string{"-L", name, "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	path := filepath.Join(t.TempDir(), "s")
	run("new-session", "-d", "-x", "150", "-y", "24", "-e", asCommand+"=1",
		"sh", "-c", `trap : INT; "$@"; read end`, "sh", os.Args[0], "serve", "echo", "--verbose", "--listen=unix:"+path)
	t.Cleanup(func() { run("kill-server") })
	screen := ""
	sees := func(pattern string) {
		t.Helper()
		until(t, "the screen shows "+pattern, func() bool {
			screen = strings.TrimSpace(run("capture-pane", "-p"))
			return regexp.MustCompile(pattern).MatchString(screen)
		})
	}
	sees(`(?s)listening on .*\n0 clients, 0 connections, 0 B received, 0 B sent$`)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echoes(t, conn, []byte("hello"))
	sees(`(?s)msg=connected [^\n]*\n1 clients, 1 connections, 5 B received, 5 B sent$`)
	conn.Close()
	sees(`(?s)msg=disconnected [^\n]*\n0 clients, 1 connections, 5 B received, 5 B sent$`)
	run("send-keys", "C-c")
	sees(`(?s)msg=served clients=0 connections=1 [^\n]*received=5 sent=5 [^\n]*$`)
	if strings.Contains(screen, "B received") {
		t.Errorf("the line is still there:\n%s", screen)
	}
}

func TestUnixSocketsHaveAnOwnerAndAMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := serve(t, "echo", "--listen=unix:"+path, "--socket-mode=0620", fmt.Sprintf("--socket-owner=%d:%d", os.Getuid(), os.Getgid()))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o620 {
		t.Errorf("%v, %v", info, err)
	}
	if got := peer(t, []byte("hello"), "nc", "-N", "-U", path); string(got) != "hello" {
		t.Errorf("%q", got)
	}
	s.stop()
	if os.Getuid() == 0 {
		s := serve(t, "echo", "--mode=goroutines", "--listen=unix:"+path, "--socket-mode=0600", "--socket-owner=nobody:1")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid == 0 || owner.Gid != 1 || info.Mode().Perm() != 0o600 {
			t.Errorf("%+v %v", owner, info.Mode())
		}
		s.stop()
	}
	other := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--socket-mode=0660", exitUsage, "for --listen unix:PATH"},
		{"--socket-mode=rw --listen=" + other, exitUsage, "try 0660"},
		{"--socket-mode=1777 --listen=" + other, exitUsage, "try 0660"},
		{"--socket-owner=no-such-user --listen=" + other, exitUsage, "no-such-user"},
		{"--socket-owner=:no-such-group --listen=" + other, exitUsage, "no-such-group"},
		{"--mode=auto", exitUsage, "the usual one is loop, which chooses its --engine by itself"},
	} {
		_, complaint, code := once(t, "", append([]string{"serve", "echo"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(complaint, c.says) || strings.Count(complaint, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s", c.args, code, complaint)
		}
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a socket is left of a wrong call")
	}
}
