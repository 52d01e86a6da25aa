package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// Bytes that were sent before the signal come back after it, however slowly they are read.
func TestShutdownLosesNothingThatIsInFlight(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode, "--grace=30s")
		clients := 20
		if mode == "blocking" {
			clients = 1
		}
		said := noise(5, 700_000)
		conns := make([]*net.TCPConn, clients)
		for i := range conns {
			conns[i] = client(t, s)
			if _, err := conns[i].Write(said); err != nil {
				t.Fatal(err)
			}
		}
		s.await("connected", clients)
		systest.Terminate(s.cmd.Process)
		s.await("shutting down", 1)
		for i, conn := range conns {
			var heard bytes.Buffer
			for piece := make([]byte, 10_000); ; {
				n, err := conn.Read(piece)
				heard.Write(piece[:n])
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("client %d: after %d bytes: %v", i, heard.Len(), err)
				}
			}
			if !bytes.Equal(heard.Bytes(), said) {
				t.Errorf("client %d: %d bytes came back of %d", i, heard.Len(), len(said))
			}
			conn.Close()
		}
		if code := s.wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// Who had connected when the signal came is served, even if the server had yet to accept the connection.
func TestShutdownServesTheBacklogFirst(t *testing.T) {
	inModes(t, append([]string{"goroutines", "processes"}, eventModes...), func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode)
		first := client(t, s)
		echoes(t, first, []byte("it accepts"))
		first.Close()
		conns := make([]*net.TCPConn, 100)
		for i := range conns {
			conns[i] = client(t, s)
			conns[i].Write([]byte("hello"))
		}
		systest.Interrupt(s.cmd.Process)
		for i, conn := range conns {
			if heard, err := io.ReadAll(conn); err != nil || string(heard) != "hello" {
				t.Errorf("client %d: %q, %v", i, heard, err)
			}
			conn.Close()
		}
		if code := s.wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// A client that is cut off must see that it is.
func TestShutdownEndsWithTheGracePeriod(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode, "--grace=200ms")
		stalled := stall(t, s)
		systest.Terminate(s.cmd.Process)
		if code := s.wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if _, err := io.Copy(io.Discard, stalled); !systest.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client got %v", err)
		}
	})
}

func TestASecondSignalEndsTheServerAtOnce(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode, "--grace=10m")
		stall(t, s)
		systest.Terminate(s.cmd.Process)
		s.await("shutting down", 1)
		systest.Interrupt(s.cmd.Process)
		if code := s.wait(); code != 128+int(syscall.SIGINT) {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestShutdownAcceptsNobodyMore(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode, "--grace=10s")
		stalled := stall(t, s)
		systest.Terminate(s.cmd.Process)
		until(t, "connections are refused", func() bool {
			conn, err := net.Dial("tcp", s.addrs[0])
			if err == nil {
				conn.Close()
			}
			return systest.Is(err, syscall.ECONNREFUSED)
		})
		stalled.Close()
		s.wait()
	})
}

func TestAServerOutlivesTheReaderOfItsLog(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		cmd := exec.Command(os.Args[0], serveArgs([]string{"echo", "--mode", mode})...)
		log, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		var first struct{ Msg string }
		if err := json.NewDecoder(log).Decode(&first); err != nil {
			t.Fatal(err)
		}
		log.Close()
		for range 3 {
			conn, err := net.Dial("tcp", strings.TrimPrefix(first.Msg, "listening on "))
			if err != nil {
				t.Fatal(err)
			}
			echoes(t, conn, []byte("hello"))
			conn.Close()
		}
		systest.Terminate(cmd.Process)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// stall connects a client that sends until the server takes no more, and reads nothing.
func stall(t testing.TB, s *server) net.Conn {
	t.Helper()
	conn, said := client(t, s), noise(1, 1<<20)
	for refusals := 0; refusals < 3; { // a busy machine can be slow, too
		conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := conn.Write(said)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if refusals++; n > 0 {
			refusals = 0
		}
	}
	return conn
}

// Clients that ask without a pause are hung up on between two replies.
func TestShutdownUnderLoadCutsNoReplyShort(t *testing.T) {
	s := serve(t, "echo", "--grace=30s")
	const clients = 50
	ready := make(chan bool, clients)
	var all sync.WaitGroup
	for i := range clients {
		conn := client(t, s)
		all.Go(func() {
			defer conn.Close()
			said, heard := noise(uint32(i), 3000), make([]byte, 3000)
			for n := 0; ; n++ {
				if n == 10 {
					ready <- true
				}
				if _, err := conn.Write(said); err != nil {
					t.Errorf("client %d: message %d: %v", i, n, err)
					return
				}
				if _, err := io.ReadFull(conn, heard); err == io.EOF {
					return
				} else if err != nil || !bytes.Equal(heard, said) {
					t.Errorf("client %d: message %d: %v", i, n, err)
					return
				}
			}
		})
	}
	for range clients {
		<-ready
	}
	systest.Terminate(s.cmd.Process)
	all.Wait()
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Clients whose target has not answered when the signal comes are served by it when it does, and those in the backlog too.
func TestShutdownPassesClientsOnToATargetThatIsSlow(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("127.0.0.1")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range switchboard.Engines() {
		t.Run(engine, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			release := make(chan bool)
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						<-release
						over := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}})
						io.Copy(over, over)
						over.Close()
					}()
				}
			}()
			proxy := proxyTo(t, []string{"tls://" + l.Addr().String()}, "--engine", engine, "--to-tls-ca", a.file,
				"--grace=1m", "--connect-timeout=1m")
			conns := make([]*net.TCPConn, 50)
			for i := range conns {
				conns[i] = client(t, proxy)
				if _, err := conns[i].Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
			}
			systest.Terminate(proxy.cmd.Process)
			proxy.await("shutting down", 1)
			close(release)
			for i, conn := range conns {
				heard := make([]byte, len("hello"))
				if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != "hello" {
					t.Fatalf("client %d: %q, %v", i, heard, err)
				}
				echoes(t, conn, []byte("said during the shutdown"))
				conn.CloseWrite()
				if heard, err := io.ReadAll(conn); err != nil || len(heard) != 0 {
					t.Errorf("client %d: %q, %v", i, heard, err)
				}
				conn.Close()
			}
			if code := proxy.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
