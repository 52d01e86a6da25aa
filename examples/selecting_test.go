package examples_test

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

func dial(t *testing.T, s *server) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// want reads exactly the text.
func want(t *testing.T, c net.Conn, text string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c, got); string(got) != text {
		t.Fatalf("received %q, %v, want %q", got[:n], err, text)
	}
}

func echo(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	want(t, c, text)
}

// selecting runs a test with each server that serves many clients in one goroutine.
func selecting(t *testing.T, test func(t *testing.T, s *server)) {
	for _, name := range []string{"selectserver", "multiserver"} {
		t.Run(name, func(t *testing.T) { test(t, start(t, example(name), "-listen", loopback)) })
	}
}

func TestMulticlientIsServedByEverySelectingServer(t *testing.T) {
	ask := func(t *testing.T, s *server) {
		got := say(t, "", example("multiclient"), "-to", s.address, "-n", "50", "hello", "world")
		if strings.Count(got, "\n") != 50 || strings.Count(got, ": 12 bytes there and back\n") != 50 {
			t.Errorf("the client printed %q", got)
		}
	}
	selecting(t, ask)
	t.Run("python", func(t *testing.T) { ask(t, start(t, peer(t, "python3"), "-c", pythonSelectorsServer)) })
}

const pythonSelectorsServer = `
import selectors, socket
sel = selectors.DefaultSelector()
s = socket.create_server(("127.0.0.1", 0), backlog=100)
print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
sel.register(s, selectors.EVENT_READ)
while True:
    for key, events in sel.select():
        if key.fileobj is s:
            sel.register(s.accept()[0], selectors.EVENT_READ)
        elif data := key.fileobj.recv(4096):
            key.fileobj.sendall(data)
        else:
            sel.unregister(key.fileobj)
            key.fileobj.close()
`

const pythonSelectorsClient = `
import selectors, socket, sys
sel = selectors.DefaultSelector()
sent = [bytes([i]) * (1000 * i + 1) for i in range(40)]
got = [b""] * len(sent)
for i, data in enumerate(sent):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.setblocking(False)
    sel.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE, [i, data])
while sel.get_map():
    for key, events in sel.select(timeout=20):
        i, left = key.data
        if events & selectors.EVENT_WRITE:
            left = left[key.fileobj.send(left[:777]):]
            if left:
                key.data[1] = left
            else:
                key.fileobj.shutdown(socket.SHUT_WR)
                sel.modify(key.fileobj, selectors.EVENT_READ, key.data)
        if events & selectors.EVENT_READ:
            if data := key.fileobj.recv(4096):
                got[i] += data
            else:
                sel.unregister(key.fileobj)
                key.fileobj.close()
print("same" if got == sent else "different")
`

func TestPythonSelectorsClientGetsEveryByte(t *testing.T) {
	selecting(t, func(t *testing.T, s *server) {
		if got := say(t, "", peer(t, "python3"), "-c", pythonSelectorsClient, s.port()); got != "same\n" {
			t.Errorf("python found them %q", got)
		}
	})
}

func TestHalfClosedPeerGetsEveryReply(t *testing.T) {
	selecting(t, func(t *testing.T, s *server) {
		var text strings.Builder
		for i := range 500_000 {
			text.WriteString(strconv.Itoa(i))
		}
		if got := say(t, text.String(), peer(t, "nc"), "-N", "127.0.0.1", s.port()); got != text.String() {
			t.Errorf("nc got %d bytes of %d, or others", len(got), text.Len())
		}
	})
}

// A client that writes and never reads fills its queue and is read no more; the others notice nothing.
func TestStalledClientStopsNobody(t *testing.T) {
	selecting(t, func(t *testing.T, s *server) {
		stalled, other := dial(t, s), dial(t, s)
		block := bytes.Repeat([]byte("x"), 64<<10)
		full := false
		for sent := 0; sent < 64<<20 && !full; {
			stalled.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			n, err := stalled.Write(block)
			sent, full = sent+n, err != nil
			echo(t, other, "still served")
		}
		if !full {
			t.Error("the server took 64 MiB of a client that reads nothing")
		}
	})
}

func TestResettingClientStopsNobody(t *testing.T) {
	selecting(t, func(t *testing.T, s *server) {
		other := dial(t, s)
		for range 20 {
			c := dial(t, s)
			echo(t, c, "hello")
			c.Write([]byte("unread"))
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
			echo(t, other, "still served")
		}
	})
}

const pythonIsUrgent = `
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    s.sendall(b"before")
    s.send(b"!", socket.MSG_OOB)
    s.sendall(b"after")
    s.shutdown(socket.SHUT_WR)
    print(s.makefile("rb").read())
`

func TestExceptionalListTellsOfUrgentData(t *testing.T) {
	s := start(t, example("selectserver"), "-listen", loopback)
	if got := say(t, "", peer(t, "python3"), "-c", pythonIsUrgent, s.port()); got != "b'beforeafter'\n" {
		t.Errorf("python got %q", got)
	}
	if line := s.waitFor(t, "urgent"); !strings.HasSuffix(line, ": urgent '!'") {
		t.Errorf("the server said %q", line)
	}
}

// Both servers take 500 clients; the next one is connected, and served when another has gone.
func TestServerAtItsLimitAcceptsAgain(t *testing.T) {
	selecting(t, func(t *testing.T, s *server) {
		var clients []net.Conn
		for range 500 {
			c := dial(t, s)
			echo(t, c, "hello")
			clients = append(clients, c)
		}
		late := dial(t, s)
		if _, err := late.Write([]byte("at last")); err != nil {
			t.Fatal(err)
		}
		late.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := late.Read(make([]byte, 8)); err == nil {
			t.Fatalf("a client over the limit got %d bytes", n)
		}
		echo(t, clients[1], "still served")
		clients[0].Close()
		want(t, late, "at last")
	})
}
