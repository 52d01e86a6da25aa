package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard/socket"
)

func TestErrorsOfListeningSayWhatToDo(t *testing.T) {
	s := serve(t, "echo")
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]string{
		s.addrs[0]:                          s.addrs[0] + ": address already in use (",
		"192.0.2.1:7007":                    "no interface of this machine",
		"unix:" + precious:                  "a file that is not a socket",
		"unix:/nonexistent/a.sock":          "no such file or directory",
		"unix:/" + strings.Repeat("a", 200): "at most",
		"fd://99":                           noDescriptor,
		"fd://0":                            "fd://0: ",
		"no-such-host.invalid:7007":         "no-such-host.invalid",
	} {
		if strings.HasPrefix(where, "unix:") && runtime.GOOS == "windows" {
			continue
		}
		_, complaint, code := once(t, "", "serve", "echo", "--listen", where)
		if code != 1 || !strings.HasPrefix(complaint, "switchboard: listen ") || !strings.Contains(complaint, want) ||
			strings.Count(complaint, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q, want %q in one line", where, code, complaint, want)
		}
	}
}

func TestAPortThatNeedsRootIsExplained(t *testing.T) {
	denied := &socket.Error{Op: "bind", Addr: "127.0.0.1:80", Err: syscall.EACCES}
	err := listenError(address{"tcp", "127.0.0.1:80"}, denied)
	want := "try 127.0.0.1:8080)"
	if runtime.GOOS == "linux" {
		want = "listen 127.0.0.1:80: permission denied " +
			"(ports below 1024 need root or CAP_NET_BIND_SERVICE; try 127.0.0.1:8080)"
	}
	if !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// The socket file goes with the server, is replaced when a server has died, and is not taken from one that lives.
func TestSocketFilesComeAndGoWithTheServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "echo.sock")
	needUnix(t)
	for _, mode := range []string{"processes", "goroutines", "select"} {
		if !slices.Contains(modeNames(), mode) {
			continue
		}
		killed := serve(t, "echo", "--mode", mode, "--listen=unix:"+path)
		killed.cmd.Process.Kill()
		if code := killed.wait(); code != 128+int(syscall.SIGKILL) {
			t.Fatalf("exit code %d", code)
		}
		alive := serve(t, "echo", "--mode", mode, "--listen=unix:"+path)
		if _, complaint, code := once(t, "", "serve", "echo", "--listen=unix:"+path); code != 1 {
			t.Errorf("%s: a second server on the same path: exit code %d, %s", mode, code, complaint)
		}
		if got := peer(t, []byte("hello"), "nc", "-N", "-U", path); string(got) != "hello" {
			t.Errorf("%s: got %q", mode, got)
		}
		alive.stop()
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: after the shutdown: %v", mode, err)
		}
	}
}
