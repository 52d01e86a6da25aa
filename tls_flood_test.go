//go:build unix

package switchboard_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/tlstest"
)

// flood has r ask for KeyUpdates on a connection that has shaken hands, until it is closed, and reads nothing.
func flood(t *testing.T, raw net.Conn, c *tls.Conn, r *tlstest.Rogue, client bool) {
	if err := c.Handshake(); err != nil {
		t.Error(err)
		return
	}
	if err := r.Learn(client, c.ConnectionState().CipherSuite); err != nil {
		t.Log(err)
		return
	}
	for buf := []byte(nil); ; {
		buf = r.Flood(buf[:0], 100)
		if _, err := raw.Write(buf); err != nil {
			return
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
// read when they have reached the high-water mark, whoever its input goes to. When it reads again it is read again.
func TestAnswersOfTLSThatNobodyReadsAreBounded(t *testing.T) {
	type floods func(t *testing.T, s *switchboard.Server) (flooded *switchboard.Conn, wire net.Conn)
	client := func(t *testing.T, s *switchboard.Server, h func(c *switchboard.Conn) switchboard.Handler) (*switchboard.Conn, net.Conn) {
		conns := make(chan *switchboard.Conn, 1)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			conns <- c
			return h(c), nil
		}
		config, r := floodedTLS(s), new(tlstest.Rogue)
		config.KeyLogWriter = r
		wire := reach(t, start(t, s), net.Dialer{}).Conn
		go flood(t, wire, tls.Client(wire, config), r, true)
		return next(t, conns), wire
	}
	discards := func(c net.Conn) { io.Copy(io.Discard, c) }
	for name, begin := range map[string]floods{
		"a client": func(t *testing.T, s *switchboard.Server) (*switchboard.Conn, net.Conn) {
			return client(t, s, func(*switchboard.Conn) switchboard.Handler {
				return switchboard.DataFunc(func(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil })
			})
		},
		"the client of a proxy": func(t *testing.T, s *switchboard.Server) (*switchboard.Conn, net.Conn) {
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
		"the target of a proxy": func(t *testing.T, s *switchboard.Server) (*switchboard.Conn, net.Conn) {
			config := floodedTLS(s)
			server, r := serverTLS(), new(tlstest.Rogue)
			server.SessionTicketsDisabled, server.KeyLogWriter = true, r
			wires := make(chan net.Conn, 1)
			target := foreign(t, nil, func(c net.Conn) {
				wires <- c
				flood(t, c, tls.Server(c, server), r, false)
			})
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
			return next(t, conns), next(t, wires)
		},
	} {
		t.Run(name, func(t *testing.T) {
			overTLS(t, func(t *testing.T, s *switchboard.Server) {
				s.HighWater = 32 << 10
				most := s.HighWater + 5*(64<<10) // what the engine may bring before it has stopped
				c, wire := begin(t, s)
				before := int64(-1)
				eventually(t, "it is read no more", func() bool {
					if n := c.Queued(); n > most {
						t.Fatalf("%d bytes are queued", n)
					}
					if received := c.Received(); received != before {
						before = received
						return false
					}
					return c.Queued() > s.HighWater/4 // some may have left since it was so much
				})
				stays(t, "it is read no more", func() bool { return c.Queued() <= most })
				before = c.Received()
				go io.Copy(io.Discard, wire)
				eventually(t, "it is read again", func() bool { return c.Received() > before+1<<20 })
				wire.Close()
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
