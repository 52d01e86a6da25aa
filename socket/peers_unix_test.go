//go:build unix

package socket

import (
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What only Unix has: descriptors that travel, and child processes that inherit them.

const pythonDescriptors = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
p, fds, flags, _ = socket.recv_fds(s, 100, 4)
assert p == b'take these' and len(fds) == 2, (p, fds)
os.write(fds[0], b'from python')
r, w = os.pipe()
socket.send_fds(s, [b'and this'], [w])
os.close(w)
print(os.read(r, 100).decode())
`

func TestPythonExchangesDescriptors(t *testing.T) {
	l, to := listening(t, t.TempDir()+"/s.sock", nil)
	cmd := program(t, "python3", "-c", pythonDescriptors, to.Path())
	var out bytes.Buffer
	cmd.Stdout = &out
	noError(t, cmd.Start())
	s := accepted(t, l)
	x, y := unixPair(t, SOCK_STREAM)
	_, err := s.SendFDs([]byte("take these"), x.FD(), s.FD())
	noError(t, err)
	p := make([]byte, 100)
	if n, err := y.Recv(p); string(p[:n]) != "from python" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	n, fds, err := s.RecvFDs(p, 4)
	if string(p[:n]) != "and this" || len(fds) != 1 || err != nil {
		t.Fatalf("%q, %v, %v", p[:n], fds, err)
	}
	unix.Write(fds[0], []byte("from go"))
	unix.Close(fds[0])
	noError(t, cmd.Wait())
	if out.String() != "from go\n" {
		t.Errorf("%q", out.String())
	}
}

// A listening socket that a child process of another language serves: its mode is blocking, as Python expects.
func TestPythonInheritsAListeningSocket(t *testing.T) {
	l, to := listening(t, "127.0.0.1:0", nil)
	fd, err := l.Detach()
	noError(t, err)
	f := os.NewFile(uintptr(fd), "listener")
	cmd := program(t, "python3", "-c", `
import socket
l = socket.socket(fileno=3)
s, _ = l.accept()
s.sendall(b'served by python')
`)
	cmd.ExtraFiles = []*os.File{f}
	noError(t, cmd.Start())
	f.Close()
	s := connectedTo(t, to)
	if text, err := io.ReadAll(s); string(text) != "served by python" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	noError(t, cmd.Wait())
}
