package scenarios

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/seccomp"
	"github.com/switchboard-go/switchboard/internal/systest"
	"golang.org/x/sys/unix"
)

// ringRefusals are what io_uring_setup(2) may answer where rings are not to be had.
var ringRefusals = map[string]unix.Errno{"EPERM": unix.EPERM, "ENOSYS": unix.ENOSYS, "ENOMEM": unix.ENOMEM}

func init() {
	for name, errno := range ringRefusals {
		children["echo with "+name+" for rings"] = func() {
			if err := seccomp.Refuse(unix.SYS_IO_URING_SETUP, errno); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Println(switchboard.Engines())
			named := &switchboard.Server{Engine: "uring", Accept: everyone(echo)}
			fmt.Println(strings.ReplaceAll(fmt.Sprint(named.ListenAndServe("127.0.0.1:0")), "\n", " "))
			serveAsChild()
		}
	}
}

// loggedBy serves with the engine "auto" and returns what it logged meanwhile.
func loggedBy(t *testing.T, loops int) string {
	var log strings.Builder
	s := &switchboard.Server{Loops: loops, Accept: everyone(echo), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	address, served := serveAt(t, s, "127.0.0.1:0")
	p := call(t, address)
	p.says("hello")
	p.hears("hello")
	p.Close()
	stop(s)
	next(t, served)
	return log.String()
}

func TestAutoTakesTheFirstEngineThereIsAndSaysWhyOnce(t *testing.T) {
	log := loggedBy(t, 3)
	want := "engine=" + engines()[0] + " "
	if strings.Count(log, "why=") != 1 || !strings.Contains(log, want) {
		t.Errorf("no %q, or not once, in\n%s", want, log)
	}
}

func TestWhereRingsAreRefusedAutoIsEpoll(t *testing.T) {
	for name, errno := range ringRefusals {
		t.Run(name, func(t *testing.T) {
			c := startChild(t, "echo with "+name+" for rings", "auto")
			// The child's lines: what engines there are, what became of the one that was named, and its address.
			if c.address != "[epoll poll select]" {
				t.Errorf("engines are %s", c.address)
			}
			if err := c.answer(); !strings.Contains(err, "engine uring: io_uring_setup: "+errno.Error()+": ") {
				t.Errorf("uring, named: %s", err)
			}
			address := c.answer()
			p := call(t, address)
			p.says("hello")
			p.hears("hello")
			p.Close()
			if !strings.Contains(c.logged(), "engine=epoll loop=0 why=") || !strings.Contains(c.logged(), errno.Error()) {
				t.Errorf("the log does not tell:\n%s", c.logged())
			}
		})
	}
}

// A ring is taken apart some time after the death of its process. What listens must not wait for that.
func TestKilledServerListensNoMore(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			for range 5 {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), childVariable+"=echo", engineVariable+"="+engine)
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				var address string
				_, err = fmt.Fscan(out, &address)
				if err == nil {
					p := call(t, address)
					p.says("hello")
					p.hears("hello")
					p.Close()
				}
				cmd.Process.Kill()
				cmd.Wait()
				if err != nil {
					t.Fatal(err)
				}
				if c, err := net.Dial("tcp", address); !systest.Is(err, syscall.ECONNREFUSED) {
					t.Fatalf("connecting to the dead: %v, %v", c, err)
				}
			}
		})
	}
}
