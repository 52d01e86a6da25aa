// Package examples_test runs the example programs, against each other and against programs that were not written here.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const patience = 30 * time.Second // for anything that should come at once

var programs string // the directory of the built examples

// built tells a process that a test starts of itself where the examples are.
const built = "SWITCHBOARD_EXAMPLES_BUILT"

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if programs = os.Getenv(built); programs != "" {
			return m.Run()
		}
		var err error
		if programs, err = os.MkdirTemp("", "examples"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(programs)
		if out, err := exec.Command("go", "build", "-o", programs, "./...").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the examples: %v\n%s", err, out)
			return 1
		}
		os.Setenv(built, programs)
		return m.Run()
	}())
}

// example is the path of a built example.
func example(name string) string { return filepath.Join(programs, name) }

// peer is the path of a program that was not written here. CI has all of them.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is a peer of this test: %v", name, err)
		}
		t.Skipf("%s is a peer of this test: %v", name, err)
	}
	return path
}

// A server is a program that runs until the test ends.
type server struct {
	address string
	stdout  *os.File
	lines   *bufio.Scanner
}

// start starts a server, whose first line of output must end with its address, and what follows that in words.
func start(t *testing.T, path string, args ...string) *server {
	t.Helper()
	s, _ := startCommand(t, exec.Command(path, args...))
	_, address, _ := strings.Cut(s.waitFor(t, "listening on "), "listening on ")
	s.address = strings.Fields(address)[0]
	return s
}

// startCommand starts a program that runs until the test ends, or is ended before.
func startCommand(t *testing.T, cmd *exec.Cmd) (*server, *exec.Cmd) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
		r.Close()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("%s said: %s", filepath.Base(cmd.Path), stderr.String())
		}
	})
	return &server{stdout: r, lines: bufio.NewScanner(r)}, cmd
}

// waitFor reads the server's output up to a line that contains text.
func (s *server) waitFor(t *testing.T, text string) string {
	t.Helper()
	s.stdout.SetReadDeadline(time.Now().Add(patience))
	for s.lines.Scan() {
		if strings.Contains(s.lines.Text(), text) {
			return s.lines.Text()
		}
	}
	t.Fatalf("the server never said %q: %v", text, s.lines.Err())
	return ""
}

func (s *server) port() string { return s.address[strings.LastIndexByte(s.address, ':')+1:] }

// run runs a program to its end.
func run(t *testing.T, stdin, path string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, err bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &err
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s did not end", filepath.Base(path))
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// say runs a program that must succeed, and returns its output.
func say(t *testing.T, stdin, path string, args ...string) string {
	t.Helper()
	stdout, stderr, code := run(t, stdin, path, args...)
	if code != 0 {
		t.Fatalf("%s: exit %d: %s%s", filepath.Base(path), code, stdout, stderr)
	}
	return stdout
}

func TestWrongUseGivesOneClearLine(t *testing.T) {
	for _, c := range []struct {
		name, args, want string
	}{
		{"echoserver", "extra", `echoserver: argument "extra" is one too many`},
		{"echoserver", "-listen nowhere", "echoserver: parse nowhere: "},
		{"echoserver", "-listen 127.0.0.1:70000", "echoserver: parse 127.0.0.1:70000: port 70000 is over 65535"},
		{"echoserver", "-port 7", "flag provided but not defined: -port"},
		{"echoclient", "", "echoclient: no message to send"},
		{"echoclient", "-to 127.0.0.1:1 hello", "echoclient: connect 127.0.0.1:1: connection refused"},
		{"goroutineserver", "extra", `goroutineserver: argument "extra" is one too many`},
		{"messages", "-format x", `messages: -format "x": there are fixed, lines, length and type`},
		{"messages", "hello", "messages: 1 arguments: give messages with -to, and none with -listen"},
		{"messages", "-format type -to 127.0.0.1:1 x", "messages: connect 127.0.0.1:1: connection refused"},
		{"deadpeers", "-silence 0s", "deadpeers: nothing but -listen and -silence, which is more than 0"},
		{"selectserver", "extra", `selectserver: argument "extra" is one too many`},
		{"selectserver", "-listen nowhere", "selectserver: "},
		{"multiserver", "extra", `multiserver: argument "extra" is one too many`},
		{"multiserver", "-listen 127.0.0.1", "multiserver: "},
		{"multiclient", "", "multiclient: nothing to do: give at least one message, and -n at least 1"},
		{"multiclient", "-n 0 hello", "multiclient: nothing to do"},
		{"multiclient", "-to 127.0.0.1:1 hello", "connection refused"},
		{"httplike", "/path", "httplike: 1 arguments: give a path with -to, and none with -listen"},
		{"httplike", "-to 127.0.0.1:1", "httplike: 0 arguments: give a path with -to"},
		{"httplike", "-to 127.0.0.1:1 /path", "httplike: connect 127.0.0.1:1: connection refused"},
		{"byteorder", "-to 127.0.0.1:1 3", "byteorder: 1 arguments: give two numbers with -to"},
		{"byteorder", "-to 127.0.0.1:1 3 4294967296", `byteorder: "4294967296" is not a whole number of 32 bits`},
		{"socketpair", "", "socketpair: no message to send to the child"},
		{"socketpair", "-child 300", "socketpair: fromfd"},
		{"tlsecho", "extra", `tlsecho: argument "extra" is one too many`},
		{"tlsecho", "-cert nowhere", "tlsecho: certs: "},
		{"websocketecho", "extra", `websocketecho: argument "extra" is one too many`},
		{"datagramserver", "extra", `datagramserver: argument "extra" is one too many`},
		{"datagramserver", "-listen nowhere", "datagramserver: parse nowhere: "},
		{"datagramclient", "", "datagramclient: no message to send"},
		{"datagramclient", "-to 127.0.0.1:1 hello", "connection refused"},
		{"ping", "", "ping: 0 arguments: give one host"},
		{"ping", "a b", "ping: 2 arguments: give one host"},
		{"ping", "nosuch.invalid", "ping: getaddrinfo nosuch.invalid:: "},
		{"multicast", "", "multicast: no group: give one"},
		{"multicast", "nowhere", "multicast: parse nowhere: "},
		{"multicast", "127.0.0.1:7007", "multicast: join group 127.0.0.1: the address is not a multicast group"},
		{"multicast", "-interface nosuch 239.7.7.7:0", "multicast: join group 239.7.7.7%nosuch: no such network interface"},
		{"multicast", "-interface nosuch 239.7.7.7:1 hello", "multicast: set multicast interface: no such network interface"},
	} {
		t.Run(c.name+" "+c.args, func(t *testing.T) {
			stdout, stderr, code := run(t, "", example(c.name), strings.Fields(c.args)...)
			said := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			if len(said) == 2 && strings.HasPrefix(said[1], "usage: "+c.name) { // what package flag adds
				said = said[:1]
			}
			if code == 0 || stdout != "" || len(said) != 1 || !strings.Contains(said[0], c.want) {
				t.Errorf("exit %d, %q, %q; want %q", code, stdout, stderr, c.want)
			}
		})
	}
}
