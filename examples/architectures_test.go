//go:build unix

package examples_test

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// apart runs a test with each server that gives every client somebody of its own.
func apart(t *testing.T, test func(t *testing.T, s *server)) {
	for _, name := range []string{"goroutineserver", "processserver"} {
		t.Run(name, func(t *testing.T) { test(t, start(t, example(name), "-listen", loopback)) })
	}
}

func TestMulticlientIsServedByEveryServerOfManyWaiters(t *testing.T) {
	apart(t, func(t *testing.T, s *server) {
		got := say(t, "", example("multiclient"), "-to", s.address, "-n", "20", "-timeout", patience.String(), "hello", "world")
		if strings.Count(got, ": 12 bytes there and back\n") != 20 {
			t.Errorf("the client printed %q", got)
		}
	})
}

func TestWaiterOfAStalledClientKeepsNobodyElse(t *testing.T) {
	apart(t, func(t *testing.T, s *server) {
		stalled, other := dial(t, s), dial(t, s)
		stalled.SetWriteDeadline(time.Now().Add(patience))
		sent := 0
		for block := bytes.Repeat([]byte("x"), 64<<10); ; {
			stalled.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			n, err := stalled.Write(block)
			if sent += n; err != nil {
				break
			}
			if sent > 64<<20 {
				t.Fatal("the server took 64 MiB of a client that reads nothing")
			}
		}
		echo(t, other, "still served")
	})
}

func TestNcIsAnsweredAfterItsHalfClose(t *testing.T) {
	apart(t, func(t *testing.T, s *server) {
		if got := say(t, "hello\n", peer(t, "nc"), "-N", "127.0.0.1", s.port()); got != "hello\n" {
			t.Errorf("nc got %q", got)
		}
	})
}

func TestProcessThatDiesTakesOnlyItsClientAlong(t *testing.T) {
	s := start(t, example("processserver"), "-listen", loopback)
	first, second := dial(t, s), dial(t, s)
	echo(t, second, "before")
	_, pid, _ := strings.Cut(s.waitFor(t, "client "+first.LocalAddr().String()+" "), "process ")
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	first.SetReadDeadline(time.Now().Add(patience))
	if n, err := first.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("a client whose process died reads %d, %v", n, err)
	}
	echo(t, second, "after")
}

func TestMessagesAreToldApart(t *testing.T) {
	for format, c := range map[string]struct{ message, sent, received string }{
		"fixed":  {"hello", `"hello           "`, `"HELLO           "`},
		"lines":  {"hello", `"hello\n"`, `"HELLO"`},
		"length": {"hello", `"\x00\x00\x00\x05hello"`, `"HELLO"`},
		"type":   {"wfour", `"wfour"`, `"WFOUR"`},
	} {
		t.Run(format, func(t *testing.T) {
			s := start(t, example("messages"), "-format", format, "-listen", loopback)
			want := strings.Repeat("sent "+c.sent+"\nreceived "+c.received+"\n", 2)
			if got := say(t, "", example("messages"), "-format", format, "-to", s.address, c.message, c.message); got != want {
				t.Errorf("it printed\n%swanted\n%s", got, want)
			}
		})
	}
}

const pythonLengths = `
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"".join(struct.pack("!I", len(t)) + t for t in (b"both at", b"once")))
f = s.makefile("rb")
for _ in range(2):
    print(f.read(struct.unpack("!I", f.read(4))[0]).decode())
`

func TestPythonSendsTwoMessagesAtOnce(t *testing.T) {
	s := start(t, example("messages"), "-format", "length", "-listen", loopback)
	if got := say(t, "", peer(t, "python3"), "-c", pythonLengths, s.port()); got != "BOTH AT\nONCE\n" {
		t.Errorf("python heard %q", got)
	}
}

func TestASilentPeerIsAskedAndThenGivenUp(t *testing.T) {
	s := start(t, example("deadpeers"), "-listen", loopback, "-silence", "200ms")
	silent := dial(t, s)
	want(t, silent, "are you there?\n")
	if rest, err := io.ReadAll(silent); len(rest) > 0 || err != nil {
		t.Errorf("then it reads %q, %v", rest, err)
	}
	s.waitFor(t, "client "+silent.LocalAddr().String()+" is gone: silent for 200ms, and for 200ms after the question")

	s = start(t, example("deadpeers"), "-listen", loopback, "-silence", "3s") // which a busy machine can keep
	alive := dial(t, s)
	for range 2 {
		want(t, alive, "are you there?\n")
		alive.Write([]byte("yes\n"))
		want(t, alive, "yes\n")
	}
	alive.Close()
	s.waitFor(t, "client "+alive.LocalAddr().String()+" said goodbye")
}
