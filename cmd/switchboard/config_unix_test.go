//go:build unix

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
)

// writeFile writes a file of the test's, in place of the one that was there.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// isReset tells whether who connects there is reset.
func isReset(t testing.TB, address string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if _, err = conn.Write([]byte("x")); err == nil {
			_, err = io.ReadFull(conn, make([]byte, 1))
		}
	}
	switch {
	case systest.Is(err, syscall.ECONNRESET), systest.Is(err, syscall.EPIPE):
		return true
	case err != nil:
		t.Fatal(err)
	}
	return false
}

// reload has a server read its files again, and waits until it has, for the nth time.
func (s *server) reload(n int) {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.await("read again", n)
}

func TestListsOfNetworksAreReadAgainAtAHangUp(t *testing.T) {
	t.Parallel()
	list := writeFile(t, filepath.Join(t.TempDir(), "deny.txt"), "192.0.2.0/24 # nobody here\n")
	s := serve(t, "echo", "--deny=@"+list)
	kept := client(t, s)
	echoes(t, kept, []byte("before"))
	writeFile(t, list, "127.0.0.0/8\n")
	s.reload(1)
	if !isReset(t, s.addrs[0]) {
		t.Error("a client that is denied was served")
	}
	echoes(t, kept, []byte("who is there stays"))
	writeFile(t, list, "127.0.0.1/8\n")
	s.cmd.Process.Signal(syscall.SIGHUP)
	if e := s.await("what changed cannot be used", 1); !strings.Contains(fmt.Sprint(e["error"]), list+":1: ") {
		t.Errorf("%v", e)
	}
	if !isReset(t, s.addrs[0]) {
		t.Error("a list that cannot be read let everybody in")
	}
	writeFile(t, list, "")
	s.reload(2)
	echoes(t, client(t, s), []byte("after"))
}

// A reload waits for nobody who could write to a pipe.
func TestAPipeDoesNotHoldUpAReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := newAuthority(t).pair("localhost")
	list, config, token := filepath.Join(dir, "deny.txt"), filepath.Join(dir, "switchboard.toml"), filepath.Join(dir, "token")
	files := map[string]string{list: "192.0.2.0/24\n", token: "0123456789abcdef\n", cert: readFile(t, cert), key: readFile(t, key),
		config: `deny = "@` + list + `"` + "\n" + `tls-cert = "` + cert + `"` + "\n" + `tls-key = "` + key + `"` + "\n" +
			`admin = "127.0.0.1:0"` + "\n" + `admin-token = "` + token + `"` + "\n"}
	for path, text := range files {
		writeFile(t, path, text)
	}
	s := serve(t, "echo", "--config="+config)
	reads, failures := 0, 0
	for path, text := range files {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		s.cmd.Process.Signal(syscall.SIGHUP)
		failures++
		if e := s.await("what changed cannot be used", failures); !strings.Contains(fmt.Sprint(e["error"]), path+" is no regular file") {
			t.Errorf("%s: %v", path, e)
		}
		conn, err := tls.Dial("tcp", s.addrs[0], &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		if err := roundTrip(conn, []byte("hello")); err != nil {
			t.Error(err)
		}
		conn.Close()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, text)
		reads++
		s.reload(reads)
	}

	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(pipe, []byte("127.0.0.0/8\n"), 0) // at the start it is waited for
	s = serve(t, "echo", "--deny=@"+pipe)
	if !isReset(t, s.addrs[0]) {
		t.Error("a client that is denied was served")
	}
	s.cmd.Process.Signal(syscall.SIGHUP)
	if e := s.await("what changed cannot be used", 1); !strings.Contains(fmt.Sprint(e["error"]), "--deny: "+pipe+" is no regular file") {
		t.Errorf("%v", e)
	}
}

func TestClientsOfAnAddressAreLimited(t *testing.T) {
	t.Parallel()
	s := serve(t, "echo", "--conns-per-address=2")
	one, two := client(t, s), client(t, s)
	echoes(t, one, []byte("one"))
	echoes(t, two, []byte("two"))
	if !isReset(t, s.addrs[0]) {
		t.Error("a third client was served")
	}
	s.await("refused", 1)
	one.Close()
	until(t, "the place is free", func() bool { return !isReset(t, s.addrs[0]) })
	s = serve(t, "echo", "--conn-rate=0.001", "--conn-burst=1")
	echoes(t, client(t, s), []byte("one"))
	if !isReset(t, s.addrs[0]) {
		t.Error("a second client was served")
	}
}

// Everything that flags can say can stand in the file, and the command line goes before it.
func TestAFileSaysWhatFlagsCan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := newAuthority(t).pair("localhost")
	config := writeFile(t, filepath.Join(dir, "switchboard.toml"), `
service = "echo"
listen = ["127.0.0.1:0"]
log = "json"
verbose = true
max-conns = 1234
idle-timeout = "90s"
keep-alive = 7
conn-rate = 2.5
high-water = "128k"
allow = ["127.0.0.0/8", "10.0.0.0/8"]
tls-cert = "`+cert+`"
tls-key = ["`+key+`"]
`)
	cmd := exec.Command(os.Args[0], "serve", "--config", config, "--conn-rate=100", "--listen=127.0.0.1:0")
	s := start(t, cmd)
	conn, err := tls.Dial("tcp", s.addrs[0], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if err := roundTrip(conn, []byte("hello")); err != nil {
		t.Error(err)
	}
	writeFile(t, config, strings.Replace(readFile(t, config), `"127.0.0.0/8", `, "", 1)+"loops = 1\n")
	s.reload(1)
	if !isReset(t, s.addrs[0]) {
		t.Error("a client that is not allowed any more was served")
	}
	if e := s.await("what changed of these is heeded after a restart", 1); e["flags"] != "loops" {
		t.Errorf("%v", e)
	}
	for call, want := range map[string]string{
		"serve --check --config " + config:                          "good: it serves echo\n",
		"serve echo --check --config " + config:                     "good: it serves echo\n",
		"serve proxy --check --to 127.0.0.1:1":                      "good: it serves proxy\n",
		"serve web --check --root .":                                "good: it serves web\n",
		"serve chat --check --listen " + s.addrs[0]:                 "good: it serves chat\n",
		"serve zmq-queue --check":                                   "good: it serves zmq-queue\n",
		"serve echo --mode goroutines --check --listen 127.0.0.1:1": "good: it serves echo\n",
	} {
		if out, complaint, code := once(t, "", strings.Fields(call)...); out != want || code != 0 {
			t.Errorf("%s: exit code %d, %q%q", call, code, out, complaint)
		}
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSlipsInAFileAreToldWithItsName(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "switchboard.toml")
	for text, want := range map[string]string{
		"service = echo": config + ":1: ",
		"service = \"echo\"\nlisten = [\"a\"\n\nloops = 1":        config + ":",
		"listen = \"127.0.0.1:0\"":                                "does not say which service",
		"service = \"ecko\"":                                      `there is no service "ecko"`,
		"service = \"echo\"\nidletimeout = 1":                     "idletimeout: serve echo has no such flag, did you mean idle-timeout?",
		"service = \"echo\"\nto = \"127.0.0.1:1\"":                "to: serve echo has no such flag",
		"service = \"echo\"\nidle-timeout = \"soon\"":             "idle-timeout: ",
		"service = \"echo\"\nloops = [1, 2]":                      "loops: one value is expected, and not a list",
		"service = \"echo\"\nloops = \"many\"":                    "loops: ",
		"service = \"echo\"\n[loops]\nn = 1":                      "loops: a text, a number, true or false is expected",
		"service = \"echo\"\nlisten = [[\"a\"]]":                  "listen: a text, a number",
		"service = \"echo\"\nworker = true":                       "worker: that is for the command line",
		"service = \"echo\"\nconfig = \"x\"":                      "config: that is for the command line",
		"service = \"echo\"\nlisten = \"127.0.0.1:99999\"":        `address "127.0.0.1:99999": "99999" is not a port`,
		"service = \"echo\"\nlisten = 7":                          `address "7": `,
		"service = \"echo\"\nmode = \"poll\"\nlisten = \"a\"":     `address "a": `,
		"service = \"chat\"\nlisten = \"a\"":                      `address "a": `,
		"service = \"chat\"\nlines = \"a\"":                       `address "a": `,
		"service = \"zmq-queue\"\nback = \"a\"":                   `address "a": `,
		"service = \"echo\"\nadmin = \":0\"\nadmin-token = \"x\"": "--admin-token: open x: no such file",
		"service = \"echo\"\ndeny = \"10.0.0.1/8\"":               "--deny: ",
		"service = \"echo\"\ndeny = \"@/no/such/file\"":           "/no/such/file",
		"service = \"echo\"\ntls-cert = \"x\"\ntls-key=\"x\"":     "x: no such file",
		"service = \"echo\"\nallow = []":                          "--allow: the list is empty",
		"service = \"echo\"\ndeny = [\"\"]":                       "deny: invalid argument",
		"service = \"echo\"\nlisten = []":                         "--listen: the list is empty",
		"service = \"echo\"\nservice = \"echo\"":                  config + ":2: ",
	} {
		writeFile(t, config, text)
		out, complaint, code := once(t, "", "serve", "--check", "--config", config)
		if code == 0 || out != "" || strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, want) {
			t.Errorf("%q: exit code %d, %q%q, want %q in one line", text, code, out, complaint, want)
		}
	}
	writeFile(t, config, "service = \"echo\"")
	for call, want := range map[string]string{
		"serve proxy --config " + config:             "its service is echo, and the command line's is proxy",
		"serve --config /no/such/file":               "/no/such/file: no such file",
		"serve echo --conn-burst 2":                  "--conn-burst needs --conn-rate",
		"serve echo --exempt 10.0.0.0/8":             "--exempt needs",
		"serve echo --conn-rate -1":                  "--conn-rate -1: 0 to 1e9",
		"serve echo --conns-per-address -1":          "cannot be negative",
		"serve echo --allow here":                    "--allow: ",
		"serve echo --proxy-protocol-from here":      "--proxy-protocol-from: ",
		"serve echo --mode poll --deny 10.0.0.1":     "--deny is for the mode loop",
		"serve zmq-queue --deny 10.0.0.1":            "--deny is not for zmq-queue",
		"serve proxy --to x:1 --to-proxy-protocol 2": `--to-proxy-protocol "2": v1 or v2`,
	} {
		_, complaint, code := once(t, "", strings.Fields(call)...)
		if code == 0 || strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, want) {
			t.Errorf("%s: exit code %d, %q, want %q in one line", call, code, complaint, want)
		}
	}
	for to, want := range map[string]string{
		"127.0.0.1:1 weight=x": "weight=x: 0 to 1000", "127.0.0.1:1 sni=10.0.0.1": "sni=10.0.0.1: a name",
		"127.0.0.1:1 sni=a.*": "a name", "127.0.0.1:1 speed=1": "there are weight=N and sni=NAME", "": "it is empty",
	} {
		if _, complaint, code := once(t, "", "serve", "proxy", "--to", to); code != exitUsage || !strings.Contains(complaint, want) {
			t.Errorf("%q: exit code %d, %q, want %q", to, code, complaint, want)
		}
	}
}

// What would not start must not come about by a reload either: each client would be connected to the proxy again and again.
func TestAReloadDoesNotMakeAProxyItsOwnTarget(t *testing.T) {
	t.Parallel()
	echo, where := serve(t, "echo"), nobody(t)
	config := filepath.Join(t.TempDir(), "proxy.toml")
	text := "service = \"proxy\"\nlisten = [\"" + where + "\"]\nlog = \"json\"\nto = [\"" + echo.addrs[0] + "\"]\n"
	writeFile(t, config, text)
	s := start(t, exec.Command(os.Args[0], "serve", "--config", config))
	s.await("listening on ", 1)
	s.addrs = []string{where}
	for i, c := range []struct{ text, want string }{
		{strings.Replace(text, echo.addrs[0], where, 1), "that is the proxy itself"},
		{"service = \"echo\"\n", "the service is now echo, and this process serves proxy"},
		{strings.Replace(text, where, "127.0.0.1:99999", 1), "is not a port"},
	} {
		writeFile(t, config, c.text)
		s.cmd.Process.Signal(syscall.SIGHUP)
		if e := s.await("what changed cannot be used", i+1); !strings.Contains(fmt.Sprint(e["error"]), c.want) {
			t.Errorf("%v, want %q", e, c.want)
		}
		echoes(t, client(t, s), []byte("as it was"))
	}
}
