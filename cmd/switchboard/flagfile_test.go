package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

func TestAFileThatCannotBeReadIsToldWithItsFlag(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, call := range []struct{ args, want string }{
		{"serve echo --tls-cert missing --tls-key " + text, "--tls-cert: "},
		{"serve echo --tls-cert " + text + " --tls-key missing", "--tls-key: "},
		{"serve echo --tls-cert " + text + " --tls-key " + text, "--tls-cert and --tls-key: "},
		{"serve echo --tls-self-signed --tls-client-ca missing", "--tls-client-ca: "},
		{"serve echo --tls-self-signed --tls-client-ca " + text, "--tls-client-ca: "},
		{"serve proxy --to tls://127.0.0.1:7 --to-tls-ca missing", "--to-tls-ca: "},
		{"serve zmq-queue --curve-secret missing", "--curve-secret: "},
		{"serve chat --history-file missing/history", "--history-file: "},
		{"dial --tls-ca " + text + " tls://127.0.0.1:7", "--tls-ca: "},
		{"dial --tls-cert missing --tls-key " + text + " tls://127.0.0.1:7", "--tls-cert: "},
		{"bench --payload missing 127.0.0.1:7", "--payload: "},
		{"bench --body @missing http://127.0.0.1:7", "--body: "},
		{"bench --html missing/page 127.0.0.1:7", "--html: "},
		{"bench --hdr missing/table 127.0.0.1:7", "--hdr: "},
	} {
		out, complaint, code := once(t, "", strings.Fields(call.args)...)
		if code != exitFailed || out != "" || strings.Count(complaint, "\n") != 1 || !strings.HasPrefix(complaint, "switchboard: "+call.want) {
			t.Errorf("%s: exit code %d, %q%q, want %q", call.args, code, out, complaint, call.want)
		}
	}
}

// TestTooFewDescriptorsAreToldWithTheLimit begins with a limit at which the Go runtime can run at all: it needs two descriptors itself.
func TestTooFewDescriptorsAreToldWithTheLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("how many descriptors a loop needs differs")
	}
	installed(t, "sh")
	for _, args := range []string{"serve echo --listen 127.0.0.1:0", "serve web --root / --listen 127.0.0.1:0", "bench 127.0.0.1:7"} {
		cmd := exec.Command("sh", "-c", `ulimit -n 9; exec "$0" `+args, os.Args[0])
		complaint, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(complaint), "(raise the limit of this process: ulimit -n)") &&
			!strings.Contains(string(complaint), "raise the limit (ulimit -n") {
			t.Errorf("%s: exit code %d, %s", args, code, complaint)
		}
	}
}

// TestWithFewDescriptorsAServerServesOrSaysWhyNot tries each limit from one that is too low to one that suffices: at none of them
// a server may only seem to serve.
func TestWithFewDescriptorsAServerServesOrSaysWhyNot(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("how many descriptors a loop needs differs")
	}
	installed(t, "sh")
	for _, engine := range switchboard.Engines() {
		served := false
		for limit := 9; limit < 40 && !served; limit++ {
			served = servesWith(t, limit, engine)
		}
		if !served {
			t.Errorf("%s never serves", engine)
		}
	}
}

// servesWith begins a server with so many descriptors and waits for an answer of it, or for it to say what it lacks.
func servesWith(t *testing.T, limit int, engine string) (answered bool) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "socket")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	script := fmt.Sprintf(`ulimit -n %d; exec "$0" serve echo --loops 2 --engine %s --listen unix:%s`, limit, engine, path)
	cmd := exec.Command("sh", "-c", script, os.Args[0])
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	answer := make(chan bool, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { answer <- answers(ctx, path) }()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		select {
		case answered = <-answer:
			if answered {
				return true
			}
		default:
		}
		said, _ := os.ReadFile(log.Name())
		if strings.Contains(string(said), "ulimit -n") {
			return false
		}
		if time.Now().After(end) {
			t.Fatalf("%s with %d descriptors neither serves nor says what it lacks: %s", engine, limit, said)
		}
	}
}

// answers waits for a server at path, and tells whether it answers.
func answers(ctx context.Context, path string) bool {
	for ctx.Err() == nil {
		c, err := net.Dial("unix", path)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(60 * time.Second))
		c.Write([]byte("x"))
		_, err = io.ReadFull(c, make([]byte, 1))
		return err == nil
	}
	return false
}

func TestAnAddressInUseIsToldAlikeByEveryService(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().String()
	for _, args := range [][]string{
		{"echo", "--listen", at},
		{"echo", "--mode", "goroutines", "--listen", at},
		{"web", "--root", ".", "--listen", at},
		{"chat", "--lines", "", "--listen", at},
		{"chat", "--listen", "127.0.0.1:0", "--lines", at},
		{"zmq-queue", "--listen", at},
		{"zmq-queue", "--listen", "127.0.0.1:0", "--back", at},
	} {
		_, complaint, code := once(t, "", append([]string{"serve"}, args...)...)
		if code != exitFailed || !strings.Contains(complaint, "listen "+at+": ") || !strings.Contains(complaint, "stop its program, or choose another") {
			t.Errorf("%v: exit code %d, %s", args, code, complaint)
		}
	}
}
