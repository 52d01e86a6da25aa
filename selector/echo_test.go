//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

// The peers are programs that others wrote. Each sends all it has, half-closes, and must get back every byte.
func TestEchoServesOtherPrograms(t *testing.T) {
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	python := `import socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def send():
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
while p := s.recv(65536):
    sys.stdout.buffer.write(p)`
	for _, mechanism := range selector.Mechanisms() {
		t.Run(mechanism, func(t *testing.T) {
			address := echoServer(t, mechanism)
			host, port, _ := net.SplitHostPort(address)
			var group sync.WaitGroup
			defer group.Wait()
			for _, peer := range [][]string{
				{"nc", "-N", host, port},
				{"socat", "-t10", "-", "TCP:" + address},
				{"python3", "-c", python, host, port},
			} {
				path, err := exec.LookPath(peer[0])
				if err != nil {
					if os.Getenv("CI") == "true" {
						t.Fatal(err)
					}
					t.Logf("not tried: %v", err)
					continue
				}
				group.Go(func() { // at once, so that one goroutine serves them all
					cmd := exec.Command(path, peer[1:]...)
					cmd.Stdin = bytes.NewReader(want)
					got, err := cmd.Output()
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s: %d of %d bytes came back, %v", strings.Join(peer[:1], " "), len(got), len(want), err)
					}
				})
			}
		})
	}
}

func echoServer(t *testing.T, mechanism string) (address string) {
	t.Helper()
	server, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	sel, err := selector.Open(mechanism)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serveEcho(sel, server) }()
	t.Cleanup(func() {
		if err := sel.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, selector.ErrClosed) {
			t.Errorf("the server ended with %v", err)
		}
		server.Close()
	})
	own, err := server.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	return own.String()
}
