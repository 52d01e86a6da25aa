//go:build unix

package scenarios

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
	"golang.org/x/sys/unix"
)

// A child is this test's binary as a process of its own, which serves echo with one engine, and answers what it is asked:
// for a process may have its own limits and is alone in what it costs.
type child struct {
	t       *testing.T
	in      io.WriteCloser
	out     *bufio.Scanner
	log     string // its standard error, a file
	address string
}

const engineVariable = "SWITCHBOARD_TEST_ENGINE"

func init() {
	children["echo"] = serveAsChild
	children["echo with 64 descriptors"] = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		serveAsChild()
	}
}

func startChild(t *testing.T, what, engine string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+what, engineVariable+"="+engine, "GORACE=atexit_sleep_ms=0")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, in: in, out: bufio.NewScanner(out), log: log.Name()}
	t.Cleanup(func() {
		in.Close() // that ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, c.logged())
		}
	})
	c.address = c.answer()
	return c
}

func (c *child) answer() string {
	c.t.Helper()
	lines := make(chan bool, 1)
	go func() { lines <- c.out.Scan() }()
	if !next(c.t, lines) {
		c.t.Fatal("the child has ended")
	}
	return c.out.Text()
}

func (c *child) logged() string {
	c.t.Helper()
	text, err := os.ReadFile(c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// usage is what a process has cost so far, and what its server does.
type usage struct {
	cpu      time.Duration
	switches int64 // times that a thread of it went to sleep
	active   int64 // connections
	pauses   int64 // of accepting
}

func (c *child) usage() (u usage) {
	c.t.Helper()
	fmt.Fprintln(c.in, "?")
	if _, err := fmt.Sscan(c.answer(), &u.cpu, &u.switches, &u.active, &u.pauses); err != nil {
		c.t.Fatal(err)
	}
	return u
}

// serveAsChild is the child's side.
func serveAsChild() {
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	s := &switchboard.Server{Engine: os.Getenv(engineVariable), Loops: 2, Accept: everyone(echo),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	check(err)
	a, err := l.LocalAddr()
	check(err)
	fmt.Println(a)
	over := make(chan error)
	go func() { over <- s.ServeSocket(l) }()
	for questions := bufio.NewScanner(os.Stdin); questions.Scan(); {
		var ru unix.Rusage
		check(unix.Getrusage(unix.RUSAGE_SELF, &ru))
		st := s.Stats()
		fmt.Println(ru.Utime.Nano()+ru.Stime.Nano(), int64(ru.Nvcsw), st.Active, st.AcceptPauses)
	}
	s.Close()
	if err := <-over; err != switchboard.ErrServerClosed {
		check(err)
	}
}
