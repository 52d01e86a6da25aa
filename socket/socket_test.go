package socket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestEchoOverLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", t.TempDir() + "/s.sock", ":0"} {
		t.Run(address, func(t *testing.T) {
			l, err := CreateServer(address, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			a, err := l.LocalAddr()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				c, _, err := l.Accept()
				if err == nil {
					io.Copy(c, c)
					c.Close()
				}
			}()
			to := a.String()
			if a.ip.IsUnspecified() {
				to = InetAddr(a.AddrPort()).String()
			}
			c, err := CreateConnection(context.Background(), to, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			want := bytes.Repeat([]byte("0123456789"), 100000)
			go func() {
				c.SendAll(want)
				c.Shutdown(SHUT_WR)
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes of %d: %v", len(got), len(want), err)
			}
		})
	}
}

func TestModes(t *testing.T) {
	a, b, err := Pair(AF_UNIX, SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	a.SetBlocking(false)
	if _, err := a.Recv(p); !errors.Is(err, ErrWouldBlock) {
		t.Fatal(err)
	}
	a.SetTimeout(time.Millisecond)
	if _, err := a.Recv(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	a.SetBlocking(true)
	done := make(chan error)
	go func() { _, err := a.Recv(p); done <- err }()
	time.Sleep(time.Millisecond)
	a.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := b.Recv(p); err != io.EOF {
		t.Fatal(err)
	}
	b.Close()
}
