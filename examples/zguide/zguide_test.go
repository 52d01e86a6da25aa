//go:build unix

// Package zguide_test runs the programs of ZeroMQ's guide with one side here and the other by libzmq.
package zguide_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var programs, python string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		for _, path := range []string{"python3", "/usr/bin/python3"} {
			if exec.Command(path, "-c", "import zmq").Run() == nil {
				python = path
				break
			}
		}
		var err error
		if programs, err = os.MkdirTemp("", "zguide"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(programs)
		if out, err := exec.Command("go", "build", "-o", programs, "./...").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the examples: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// A process is a running program whose output is read line by line.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func run(t *testing.T, path string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t, cmd, bufio.NewScanner(out)}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return p
}

// ours is one of the examples, theirs one by libzmq.
func ours(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return run(t, filepath.Join(programs, name), args...)
}

func theirs(t *testing.T, args ...string) *process {
	t.Helper()
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Python can import zmq: install python3-zmq")
		}
		t.Skip("no Python can import zmq: install python3-zmq")
	}
	return run(t, python, append([]string{"testdata/zguide.py"}, args...)...)
}

func (p *process) line() string {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatalf("%s has ended: %v", filepath.Base(p.cmd.Path), p.lines.Err())
	}
	return p.lines.Text()
}

func (p *process) endpoint() string {
	p.t.Helper()
	return strings.TrimPrefix(p.line(), "listening on ")
}

func (p *process) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.line(); got != w {
			p.t.Fatalf("%s said %q, want %q", filepath.Base(p.cmd.Path), got, w)
		}
	}
}

const anyPort = "tcp://127.0.0.1:*"

func TestHelloWorld(t *testing.T) {
	server := ours(t, "hello", "server", anyPort)
	theirs(t, "hwclient", server.endpoint()).expect(slices.Repeat([]string{"World"}, 10)...)
	client := ours(t, "hello", "client", theirs(t, "hwserver", anyPort).endpoint())
	for i := range 10 {
		client.expect(fmt.Sprintf("received World %d", i))
	}
}

func TestWeather(t *testing.T) {
	server := ours(t, "weather", "server", anyPort)
	theirs(t, "wuclient", server.endpoint(), "10003").expect(slices.Repeat([]string{"10003"}, 20)...)
	ours(t, "weather", "client", theirs(t, "wuserver", anyPort).endpoint(), "10003").
		expect("average temperature for zip code 10003 was 0")
}

func TestDivideAndConquer(t *testing.T) {
	sink := ours(t, "tasks", "sink", anyPort, "200")
	into := sink.endpoint()
	ventilator := ours(t, "tasks", "ventilator", anyPort, "100")
	other := theirs(t, "ventilator", anyPort, "100")
	for _, from := range []string{ventilator.endpoint(), other.endpoint()} {
		theirs(t, "worker", from, into)
		ours(t, "tasks", "worker", from, into)
	}
	sink.expect("200 results, 400 ms of work")

	gather := theirs(t, "sink", anyPort, "50")
	into = gather.endpoint()
	from := ours(t, "tasks", "ventilator", anyPort, "50").endpoint()
	ours(t, "tasks", "worker", from, into)
	gather.expect("100")
}

func TestLazyPirateOutlivesItsServers(t *testing.T) {
	server := theirs(t, "lpserver", anyPort, "2")
	at := server.endpoint()
	client := ours(t, "lazypirate", at)
	client.expect("server replied 0", "server replied 1", "no response from server, retrying")
	server.cmd.Wait()
	theirs(t, "lpserver", at, "100").endpoint()
	next := client.line()
	for next == "no response from server, retrying" {
		next = client.line()
	}
	if next != "server replied 2" {
		t.Fatal(next)
	}
	client.expect("server replied 3", "server replied 4")
}

func TestEspresso(t *testing.T) {
	proxy := ours(t, "espresso", anyPort, anyPort)
	front, back := proxy.endpoint(), proxy.endpoint()
	theirs(t, "publisher", front)
	theirs(t, "subscriber", back).expect(slices.Repeat([]string{"B-text"}, 5)...)
	seen := map[string]bool{}
	for !seen[`["\x01B"]`] || !seen[`["B-text"]`] {
		line := proxy.line()
		if strings.Contains(line, "A-text") || strings.Contains(line, "C-text") {
			t.Fatal("what nobody subscribed to came through: " + line)
		}
		seen[line] = true
	}
}

func TestMajordomo(t *testing.T) {
	at := ours(t, "majordomo", "broker", anyPort).endpoint()
	theirs(t, "mdworker", at, "shout")
	ours(t, "majordomo", "worker", at, "echo")
	theirs(t, "mdclient", at, "echo", "hello").expect("hello")
	ours(t, "majordomo", "client", at, "shout", "hello").expect("HELLO")
	theirs(t, "mdclient", at, "shout", "again").expect("AGAIN")
	ours(t, "majordomo", "client", at, "echo", "again").expect("again")
}
