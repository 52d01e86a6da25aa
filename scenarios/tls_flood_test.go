//go:build unix

package scenarios

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/tlstest"
)

// A flood asks for KeyUpdates on a connection that has shaken hands, until it is closed, and reads nothing.
type flood struct {
	tlstest.Rogue
	wire  net.Conn
	stuck atomic.Bool // nobody takes what it sends
}

func (f *flood) rise(t *testing.T, c *tls.Conn, client bool) {
	if err := c.Handshake(); err != nil {
		t.Error(err)
		return
	}
	if err := f.Learn(client, c.ConnectionState().CipherSuite); err != nil {
		t.Log(err)
		return
	}
	for buf := []byte(nil); ; {
		buf = f.Flood(buf[:0], 100)
		for rest := buf; len(rest) > 0; {
			f.wire.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			n, err := f.wire.Write(rest)
			rest = rest[n:]
			f.stuck.Store(errors.Is(err, os.ErrDeadlineExceeded))
			if err != nil && !f.stuck.Load() {
				return
			}
		}
	}
}

// floodedTLS is both sides' configuration: that of TLS 1.3, without tickets, which would be records too.
func floodedTLS(s *switchboard.Server) (client *tls.Config) {
	s.TLSConfig.SessionTicketsDisabled = true
	client = clientTLS()
	client.MinVersion = tls.VersionTLS13
	return client
}

// A peer that has answers of TLS's own made, which have no part in what the handler writes, and does not read them, is not
// read when they have reached the high-water mark, whoever its input goes to. When it reads again it is read again. The
// connections are Unix sockets, as the system holds little for them.
func TestAnswersOfTLSThatNobodyReadsAreBounded(t *testing.T) {
	type floods func(t *testing.T, s *switchboard.Server) (flooded *switchboard.Conn, f *flood)
	client := func(t *testing.T, s *switchboard.Server, h func(c *switchboard.Conn) switchboard.Handler) (*switchboard.Conn, *flood) {
		conns := make(chan *switchboard.Conn, 1)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			conns <- c
			return h(c), nil
		}
		config, f := floodedTLS(s), new(flood)
		config.KeyLogWriter = f
		address, _ := serveAt(t, s, filepath.Join(t.TempDir(), "s"))
		f.wire = reach(t, address, net.Dialer{}).Conn
		go f.rise(t, tls.Client(f.wire, config), true)
		return next(t, conns), f
	}
	discards := func(c net.Conn) { io.Copy(io.Discard, c) }
	for name, begin := range map[string]floods{
		"a client": func(t *testing.T, s *switchboard.Server) (*switchboard.Conn, *flood) {
			return client(t, s, func(*switchboard.Conn) switchboard.Handler {
				return switchboard.DataFunc(func(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil })
			})
		},
		"the client of a proxy": func(t *testing.T, s *switchboard.Server) (*switchboard.Conn, *flood) {
			target := foreign(t, nil, discards)
			return client(t, s, func(c *switchboard.Conn) switchboard.Handler {
				to, err := c.Dial(context.Background(), target, echo)
				if err != nil {
					t.Error(err)
				}
				switchboard.Pipe(c, to)
				return echo
			})
		},
		"the target of a proxy": func(t *testing.T, s *switchboard.Server) (*switchboard.Conn, *flood) {
			config := floodedTLS(s)
			server := serverTLS()
			server.SessionTicketsDisabled = true
			floods := make(chan *flood, 1)
			target := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", target)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				f := &flood{wire: c}
				server.KeyLogWriter = f
				floods <- f
				f.rise(t, tls.Server(c, server), false)
			}()
			conns := make(chan *switchboard.Conn, 1)
			s.TLSConfig = nil
			s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
				to, err := c.DialTLS(context.Background(), target, config, echo)
				if err != nil {
					return nil, err
				}
				switchboard.Pipe(c, to)
				conns <- to
				return echo, nil
			}
			one := call(t, start(t, s))
			go io.Copy(io.Discard, one)
			return next(t, conns), next(t, floods)
		},
	} {
		t.Run(name, func(t *testing.T) {
			overTLS(t, func(t *testing.T, s *switchboard.Server) {
				s.HighWater = 32 << 10
				most := s.HighWater + 5*(64<<10) // what the engine may bring before it has stopped
				c, f := begin(t, s)
				eventually(t, "it is read no more", func() bool {
					if n := c.Queued(); n > most {
						t.Fatalf("%d bytes are queued", n)
					}
					return f.stuck.Load() && c.Queued() > s.HighWater/4 // some may have left since it was so much
				})
				before := c.Received()
				go io.Copy(io.Discard, f.wire)
				eventually(t, "it is read again", func() bool { return c.Received() > before+128<<10 })
				f.wire.Close()
				eventually(t, "it is gone", func() bool { return s.Stats().Active == 0 })
			})
		})
	}
}

// More answers at once than the queue may hold at all end their connection.
func TestMoreAnswersOfTLSThanTheQueueLimitEndTheConnection(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.HighWater, s.QueueLimit = 4096, 4096
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		config, r := floodedTLS(s), new(tlstest.Rogue)
		config.KeyLogWriter = r
		wire := reach(t, start(t, s), net.Dialer{}).Conn
		c := tls.Client(wire, config)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := r.Learn(true, c.ConnectionState().CipherSuite); err != nil {
			t.Skip(err)
		}
		wire.Write(r.Flood(nil, 100))
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrQueueFull) {
			t.Errorf("ended with %v", err)
		}
	})
}
