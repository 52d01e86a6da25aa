package socket

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// program skips the test when the peer program is not there, and fails it where all must be tested.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// python runs a program and returns what it prints.
func python(t *testing.T, code string, args ...string) string {
	t.Helper()
	out, err := program(t, "python3", append([]string{"-c", code}, args...)...).Output()
	noError(t, err)
	return strings.TrimSuffix(string(out), "\n")
}

// echoServer serves every client until the test ends.
func echoServer(t *testing.T, address string) Addr {
	t.Helper()
	l, to := listening(t, address, nil)
	go func() {
		for {
			c, _, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return to
}

func wantEcho(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	text := bytes.Repeat([]byte("every byte counts\n"), 20_000)
	cmd.Stdin = bytes.NewReader(text)
	got, err := cmd.Output()
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("%v: %d bytes came back of %d: %v", cmd.Args, len(got), len(text), err)
	}
}

func TestNetcatIsServed(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		a := echoServer(t, address).AddrPort()
		wantEcho(t, program(t, "nc", "-N", a.Addr().String(), fmt.Sprint(a.Port())))
	}
	t.Run("unix", func(t *testing.T) {
		wantEcho(t, program(t, "nc", "-N", "-U", echoServer(t, t.TempDir()+"/s.sock").Path()))
	})
}

func TestSocatIsServed(t *testing.T) {
	for _, c := range []struct{ address, prefix string }{
		{"127.0.0.1:0", "TCP4:"}, {"[::1]:0", "TCP6:"}, {t.TempDir() + "/s.sock", "UNIX-CONNECT:"},
	} {
		t.Run(c.prefix, func(t *testing.T) {
			a := echoServer(t, c.address)
			wantEcho(t, program(t, "socat", "-t", "60", "-", c.prefix+a.String()))
		})
	}
	if a := UnixAddr("@switchboard-socat"); exec.Command("test", "-d", "/proc/sys/net/unix").Run() == nil {
		echoServer(t, a.String())
		wantEcho(t, program(t, "socat", "-t", "60", "-", "ABSTRACT-CONNECT:switchboard-socat"))
	}
}

func TestSocatServes(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ listen, connect string }{
		{"TCP4-LISTEN:0,bind=127.0.0.1", ""},
		{"TCP6-LISTEN:0,bind=[::1]", ""},
		{"UNIX-LISTEN:" + dir + "/s.sock", dir + "/s.sock"},
	} {
		t.Run(strings.ToLower(c.listen[:4]), func(t *testing.T) {
			if strings.HasPrefix(c.listen, "UNIX") {
				needUnix(t)
			}
			// socat says where it listens when it is asked to be talkative.
			cmd := program(t, "socat", "-d", "-d", c.listen, "EXEC:cat")
			cmd.Stderr = nil
			says, err := cmd.StderrPipe()
			noError(t, err)
			noError(t, cmd.Start())
			to := c.connect
			lines := bufio.NewScanner(says)
			for lines.Scan() {
				if _, where, ok := strings.Cut(lines.Text(), "listening on "); ok {
					if c.connect == "" {
						to = where[strings.Index(where, " ")+1:]
					}
					break
				}
			}
			s, err := CreateConnection(context.Background(), to, nil)
			noError(t, err)
			s.SendAll([]byte("to socat and back"))
			s.Shutdown(SHUT_WR)
			got, err := io.ReadAll(s)
			if string(got) != "to socat and back" || err != nil {
				t.Errorf("%s: %q, %v", to, got, err)
			}
			s.Close()
			io.Copy(io.Discard, says)
			if err := cmd.Wait(); err != nil {
				t.Error(c.listen, err)
			}
		})
	}
}

const pythonClient = `
import socket, sys
family, address = sys.argv[1], sys.argv[2]
if family == 'unix':
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(address)
else:
    host, port = address.rsplit(':', 1)
    s = socket.create_connection((host.strip('[]'), int(port)))
data = bytes(range(256)) * 4000
import threading
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b''.join(iter(lambda: s.recv(65536), b''))
assert got == data, (len(got), len(data))
print('ok')
`

func TestPythonIsServed(t *testing.T) {
	for name, address := range map[string]string{"v4": "127.0.0.1:0", "v6": "[::1]:0", "unix": t.TempDir() + "/s.sock"} {
		t.Run(name, func(t *testing.T) {
			a := echoServer(t, address)
			out, err := program(t, "python3", "-c", pythonClient, a.Network(), a.String()).Output()
			if string(out) != "ok\n" || err != nil {
				t.Errorf("%v: %q, %v", a, out, err)
			}
		})
	}
}

const pythonServer = `
import select, socket
l = socket.create_server(('127.0.0.1', 0))
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
d.bind(('127.0.0.1', 0))
print(l.getsockname()[1], d.getsockname()[1], flush=True)
s, peer = l.accept()
while p := s.recv(4096):
    s.sendall(p)
s.close()
s, peer = l.accept()
select.select([], [], [s])
assert s.recv(1, socket.MSG_OOB) == b'!'
s.close()
p, peer = d.recvfrom(100)
d.sendto(p.upper() + b' %d' % peer[1], peer)
`

func TestPythonServes(t *testing.T) {
	cmd := program(t, "python3", "-c", pythonServer)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	var stream, datagram int
	if _, err := fmt.Fscan(out, &stream, &datagram); err != nil {
		t.Fatal(err)
	}
	s, err := CreateConnection(context.Background(), fmt.Sprintf("localhost:%d", stream), nil)
	noError(t, err)
	text := bytes.Repeat([]byte("0123456789"), 50_000)
	go func() {
		s.SendAll(text)
		s.Shutdown(SHUT_WR)
	}()
	got, err := io.ReadAll(s)
	if !bytes.Equal(got, text) || err != nil {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(text), err)
	}
	s.Close()

	s = connectedTo(t, parsed(t, fmt.Sprintf("127.0.0.1:%d", stream)))
	s.SendFlags([]byte("!"), MSG_OOB)

	d, from := boundDatagram(t, AF_INET)
	_, err = d.SendTo([]byte("hello"), parsed(t, fmt.Sprintf("127.0.0.1:%d", datagram)))
	noError(t, err)
	p := make([]byte, 100)
	d.SetTimeout(time.Minute)
	n, peer, err := d.RecvFrom(p)
	if want := fmt.Sprintf("HELLO %d", from.Port()); string(p[:n]) != want || peer.Port() != datagram || err != nil {
		t.Errorf("%q from %v, %v", p[:n], peer, err)
	}
	noError(t, cmd.Wait())
}
