//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestTopShowsTheFigures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	s := serve(t, "echo", "--admin=unix:"+path)
	chatter(t, s, 2)
	out, complaint, code := once(t, "", "top", "unix:"+path, "-n", "2")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 3 || !strings.Contains(lines[0], "messages/s") || strings.Fields(lines[2])[1] != "2" {
		t.Errorf("exit code %d, %s\n%s", code, complaint, out)
	}
	if runtime.GOOS == "linux" { // there is /dev/full
		cmd := exec.Command("sh", "-c", `exec "$0" top "$1" >/dev/full`, os.Args[0], "unix:"+path)
		told, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(told), "no space left") {
			t.Errorf("a full disk: exit code %d, %s", code, told)
		}
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"top", exitUsage, "one ADDRESS"}, {"top nonsense", exitUsage, "HOST:PORT"}, {"top 127.0.0.1:1", exitFailed, "refused"},
		{"top 127.0.0.1:1 -n -1", exitUsage, "negative"}, {"top ftp://127.0.0.1:1", exitUsage, "HOST:PORT"},
		{"top " + s.addrs[0] + " -n 1", exitFailed, "top " + s.addrs[0]},
	} {
		if _, complaint, code := once(t, "", strings.Fields(c.args)...); code != c.code || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: exit code %d, %s", c.args, code, complaint)
		}
	}
}

// TestTopKeepsATerminalCurrent looks at the screen of a real one, also when the server goes and comes back.
func TestTopKeepsATerminalCurrent(t *testing.T) {
	tmux := installed(t, "tmux")
	path := filepath.Join(t.TempDir(), "admin.sock")
	s := serve(t, "echo", "--admin=unix:"+path)
	name := fmt.Sprintf("switchboard-top-%d", os.Getpid())
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tmux, append([]string{"-L", name, "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	run("new-session", "-d", "-x", "100", "-y", "30", "-e", asCommand+"=1", "sh", "-c", `trap : INT; "$@"; echo "ended with $?"; read end`, "sh",
		os.Args[0], "top", "unix:"+path)
	t.Cleanup(func() { run("kill-server") })
	sees := func(pattern string) {
		t.Helper()
		until(t, "the screen shows "+pattern, func() bool {
			return regexp.MustCompile(pattern).MatchString(run("capture-pane", "-p"))
		})
	}
	sees(`echo at unix:.* ready`)
	sees(`connections +0 open`)
	conn := client(t, s)
	echoes(t, conn, bytes.Repeat([]byte("x"), 100))
	sees(`connections +1 open`)
	sees(regexp.QuoteMeta(s.addrs[0]) + ` +accepting +1 +1 +0`)
	conn.Close()
	s.stop()
	sees(`not connected, trying again`)
	serve(t, "discard", "--admin=unix:"+path)
	sees(`discard at unix:.* ready`)
	run("send-keys", "C-c")
	sees(`ended with 0`)
}
