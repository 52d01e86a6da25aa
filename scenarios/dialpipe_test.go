package scenarios

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/socket"
)

// pipeTo is a Server.Accept that joins every client with an address.
func pipeTo(address string, config *tls.Config, h switchboard.Handler) func(*switchboard.Conn) (switchboard.Handler, error) {
	return func(c *switchboard.Conn) (switchboard.Handler, error) {
		return nil, c.DialPipe(context.Background(), address, config, h)
	}
}

// nobody returns an address at which nobody listens.
func nobody(t *testing.T) string {
	held, err := socket.New(socket.AF_INET, socket.SOCK_STREAM, 0) // bound, so that no server of the test gets its port
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
	at, err := socket.ParseAddr("127.0.0.1:0")
	if err == nil {
		err = held.Bind(at)
	}
	if err == nil {
		at, err = held.LocalAddr()
	}
	if err != nil {
		t.Fatal(err)
	}
	return at.String()
}

func TestDialPipeIsAProxyInOneCall(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		target := foreign(t, nil, func(c net.Conn) {
			sendBack(c)
			c.(*net.TCPConn).CloseWrite()
		})
		s.Accept = pipeTo(target, nil, nil)
		address := start(t, s)
		all := noise(3, 2_000_000)
		p := call(t, address)
		go func() {
			io.WriteString(p, all)
			p.endsOutput()
		}()
		p.hearsEnd(all)
		eventually(t, "both are gone", func() bool { return s.Stats().Active == 0 })
		if ends := s.Stats().Ends; ends.Orderly != 2 {
			t.Errorf("ended as %+v", ends)
		}
	})
}

func TestDialPipeOverTLSToTheTarget(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		target := foreign(t, serverTLS(), sendBack)
		s.Accept = pipeTo(target, clientTLS(), nil)
		p := call(t, start(t, s))
		p.says("hello")
		p.hears("hello")
		p.endsOutput()
		p.hearsEnd("")
	})
}

// What the client sends before the target is there stays in the system: the connection is not read.
func TestDialPipeHoldsTheInputUntilTheTargetIsThere(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		release := make(chan bool)
		target := foreign(t, nil, func(c net.Conn) {
			<-release
			over := tls.Server(c, serverTLS())
			io.Copy(over, over)
			over.CloseWrite()
		})
		h := newDialler()
		h.data = func(*switchboard.Conn, []byte) (int, error) {
			t.Error("a handler was offered input")
			return 0, nil
		}
		clients := make(chan *switchboard.Conn, 1)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			clients <- c
			return h.watched, c.DialPipe(context.Background(), target, clientTLS(), h)
		}
		p := call(t, start(t, s))
		c := next(t, clients)
		p.says("early words")
		stays(t, "nothing is read", func() bool { return c.Received() == 0 && len(h.opened) == 0 })
		close(release)
		p.hears("early words")
		if next(t, h.opened); c.Received() != int64(len("early words")) {
			t.Errorf("received %d", c.Received())
		}
		p.endsOutput()
		p.hearsEnd("")
		for range 2 {
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// A client that waits for its target is not idle: the end that idle connections get would look like an empty answer.
func TestDialPipeIsNotIdleWhileTheTargetIsAwaited(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		release := make(chan bool)
		target := foreign(t, nil, func(c net.Conn) { <-release }) // it never says a word of TLS
		s.IdleTimeout = time.Millisecond
		s.Accept = pipeTo(target, clientTLS(), nil)
		p := call(t, start(t, s))
		p.says("early words")
		stays(t, "the client waits", func() bool { return s.Stats().Ends == switchboard.Ends{} })
		close(release)
		eventually(t, "the client fails with its target", func() bool { return s.Stats().Ends.Piped == 1 })
	})
}

// Without a handler of the user's the client of a target that is not there gets a reset, and the cause is told.
func TestDialPipeWithoutATargetFailsTheClient(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		h := watch(nil)
		away := nobody(t)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			return h, c.DialPipe(context.Background(), away, nil, nil)
		}
		c, err := net.Dial("tcp", start(t, s)) // which may hear of the reset already
		if err == nil {
			_, err = io.Copy(io.Discard, c)
			c.Close()
		}
		if !systest.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client heard %v", err)
		}
		err = next(t, h.ended)
		if !errors.Is(err, switchboard.ErrPiped) || !systest.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("ended with %v", err)
		}
		eventually(t, "it is counted", func() bool { return s.Stats().Ends.Piped == 1 })
	})
}

// A handler of the user's tries the next target.
func TestDialPipeTriesAnotherTarget(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		target := foreign(t, nil, sendBack)
		away := nobody(t)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			h := newDialler()
			return nil, c.DialPipe(context.Background(), away, nil, closedFunc(func(error) {
				if err := c.DialPipe(context.Background(), target, nil, h); err != nil {
					t.Error(err)
				}
			}))
		}
		p := call(t, start(t, s))
		p.says("hello")
		p.hears("hello")
		p.endsOutput()
		p.hearsEnd("")
	})
}

// closedFunc is a Handler that is told of the end.
type closedFunc func(err error)

func (f closedFunc) Data(*switchboard.Conn, []byte) (int, error) { return 0, nil }
func (f closedFunc) Closed(_ *switchboard.Conn, err error)       { f(err) }

// A client that goes before its target is there takes the connection to it along, and so does the end of the server.
func TestDialPipeEndsWithItsClient(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		silent := foreign(t, nil, func(c net.Conn) { io.Copy(io.Discard, c) })
		clients := make(chan *switchboard.Conn, 2)
		ended := make(chan error, 2)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			err := c.DialPipe(context.Background(), silent, clientTLS(), closedFunc(func(err error) { ended <- err }))
			clients <- c
			return nil, err
		}
		address := start(t, s)
		call(t, address)
		next(t, clients).Abort()
		if err := next(t, ended); !errors.Is(err, switchboard.ErrAborted) {
			t.Errorf("the target's connection ended with %v", err)
		}
		eventually(t, "nobody is left", func() bool { return s.Stats().Active == 0 })
		call(t, address)
		next(t, clients)
		stop(s)
		next(t, ended)
	})
}

func TestDialPipeSaysAtOnceWhatCannotBe(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		onLoop(t, c, func() {
			if err := c.DialPipe(context.Background(), "nowhere", nil, nil); err == nil {
				t.Error("an address without a port")
			}
			if err := c.DialPipe(context.Background(), "127.0.0.1:7", &tls.Config{Renegotiation: tls.RenegotiateFreelyAsClient}, nil); err == nil {
				t.Error("a configuration that cannot be")
			}
		})
		p.says("as before")
		p.hears("as before")
		onLoop(t, c, func() {
			c.Close()
			if err := c.DialPipe(context.Background(), "127.0.0.1:7", nil, nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	})
}
