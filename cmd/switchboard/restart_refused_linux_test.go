package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestARestartDoesNotPassOverAChangedListen(t *testing.T) {
	t.Parallel()
	const listens = "service = \"echo\"\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\nlog = \"json\"\n"
	config := writeFile(t, filepath.Join(t.TempDir(), "switchboard.toml"), listens)
	s := restartable(t, serves(t, "", "echo", "--config="+config, "--listen=127.0.0.1:0"))
	s.restart() // the command line goes before the file
	echoes(t, client(t, s.server), []byte("hello"))

	s = restartable(t, start(t, exec.Command(os.Args[0], "serve", "--config="+config)))
	s.addrs = []string{strings.TrimPrefix(fmt.Sprint(s.await("listening on ", 1)["msg"]), "listening on ")}
	s.restart()
	c := client(t, s.server)
	writeFile(t, config, strings.Replace(listens, "\"127.0.0.1:0\"]", "\"127.0.0.2:0\"]", 1))
	if _, stderr, code := once(t, "", "restart", strconv.Itoa(s.pid)); code != 0 {
		t.Fatal(stderr)
	}
	if e := s.await("the restart failed", 1); !strings.Contains(fmt.Sprint(e["error"]),
		"--listen is 127.0.0.1:0, 127.0.0.2:0, and the process to take over from listens on 127.0.0.1:0, 127.0.0.1:0: ") {
		t.Errorf("%v", e)
	}
	echoes(t, c, []byte("still served"))
	writeFile(t, config, listens)
	s.restart()
	echoes(t, c, []byte("and after"))
}

func TestWhatWasReplacedDoesNotRestart(t *testing.T) {
	t.Parallel()
	target := serve(t, "echo", "--quiet")
	s := serveRestarting(t, "proxy", "--to="+target.addrs[0], "--tls-self-signed", "--grace=10m")
	stays := tls.Client(client(t, s.server), &tls.Config{InsecureSkipVerify: true})
	echoes(t, stays, []byte("hello")) // over TLS: the old process goes on until the client ends
	first := s.pid
	for range 2 {
		s.restart()
		var stderr string
		until(t, "it is not told to restart", func() (ok bool) { // it logs first, and then ignores the signal
			var code int
			_, stderr, code = once(t, "", "restart", strconv.Itoa(first))
			return code == exitFailed
		})
		if want := fmt.Sprintf("process %d has been replaced by %d,", first, s.pid); !strings.Contains(stderr, want) {
			t.Errorf("it does not say %q: %s", want, stderr)
		}
		echoes(t, stays, []byte("still here"))
	}
	stays.Close()

	classic := serve(t, "echo", "--mode=goroutines")
	if _, stderr, code := once(t, "", "restart", strconv.Itoa(classic.cmd.Process.Pid)); code != exitFailed || !strings.Contains(stderr, "does not restart") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// SIGHUP and SIGUSR1 wait until the server can heed them. It is stopped at its start by a file that it reads.
func TestSignalsThatComeTooEarlyWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, pid := filepath.Join(dir, "token"), filepath.Join(dir, "pid")
	if err := syscall.Mkfifo(token, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		f, err := os.OpenFile(token, os.O_WRONLY, 0) // until the server reads
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		n, err := strconv.Atoi(strings.TrimSpace(readFile(t, pid)))
		if err != nil {
			t.Error(err)
			return
		}
		for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1} {
			if err := syscall.Kill(n, signal); err != nil {
				t.Error(err)
			}
		}
		f.WriteString("0123456789abcdef\n")
	}()
	s := serves(t, "echo $$ >"+pid+";", "echo", "--admin=127.0.0.1:0", "--admin-token="+token)
	s.await("nothing to read again", 1)
	s.await("statistics", 1)
	echoes(t, client(t, s), []byte("hello"))
}

func TestACheckTellsThatAnAdminPageNeedsAToken(t *testing.T) {
	t.Parallel()
	for address, code := range map[string]int{":9090": exitUsage, "0.0.0.0:9090": exitUsage, "[::]:9090": exitUsage, "192.0.2.1:9090": exitUsage,
		"127.0.0.1:9090": 0, "[::1]:9090": 0, "localhost:9090": 0, "unix:/run/admin": 0, "no-such-host.invalid:9090": exitFailed} {
		_, complaint, got := once(t, "", "serve", "echo", "--check", "--admin="+address)
		if got != code || code == exitUsage && !strings.Contains(complaint, "it needs --admin-token FILE") {
			t.Errorf("%s: exit code %d, %s", address, got, complaint)
		}
	}
}
