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
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// One server has listeners of every kind, each with a configuration of its own.
func TestOneServerListensWithTLSAndWithout(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		one, other := serverTLS(), serverTLS()
		one.NextProtos, other.NextProtos = []string{"one"}, []string{"other"}
		s.TLSConfig = nil
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			kind := "plain"
			if state := c.TLS(); state != nil {
				kind = state.NegotiatedProtocol
			}
			io.WriteString(c, kind+"\n")
			return echo, nil
		}
		plain := start(t, s)
		serve := func(serve func() error) {
			served := make(chan error, 1)
			go func() { served <- serve() }()
			t.Cleanup(func() {
				stop(s)
				if err := next(t, served); !errors.Is(err, switchboard.ErrServerClosed) {
					t.Errorf("it returned %v", err)
				}
			})
		}
		l := listen(t)
		path := filepath.Join(t.TempDir(), "s")
		serve(func() error { return s.ServeTLS(l, one) })
		serve(func() error { return s.ListenAndServeTLS(path, other) })
		eventually(t, "it listens", func() bool { _, err := os.Stat(path); return err == nil })
		client := clientTLS()
		client.NextProtos = []string{"one", "other"}
		for range 3 {
			p := reach(t, plain, net.Dialer{})
			p.hears("plain\n")
			p = callTLS(t, l.Addr().String(), client)
			p.hears("one\n")
			p = callTLS(t, path, client)
			p.hears("other\n")
			p.says("and on")
			p.hears("and on")
		}
		if err := s.ListenAndServeTLS("127.0.0.1:0", nil); err == nil {
			t.Error("without a configuration")
		}
		if err := s.ServeTLS(listen(t), &tls.Config{}); err == nil {
			t.Error("without a certificate")
		}
	})
}

// A proxy that reads whom a client asks for, and passes everything on as it came.
func TestClientHelloChoosesATarget(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.TLSConfig = nil
		targets := map[string]string{}
		for _, name := range []string{"one.example", "other.example"} {
			targets[name] = foreign(t, serverTLS(), func(c net.Conn) { io.WriteString(c, name); c.(*tls.Conn).CloseWrite() })
		}
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			hello, err := switchboard.ClientHello(p)
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return 0, nil
			}
			if err != nil {
				return 0, err
			}
			to, err := c.Dial(context.Background(), targets[hello.ServerName], echo)
			if err != nil {
				return 0, err
			}
			switchboard.Pipe(c, to)
			return 0, nil
		}))
		address := start(t, s)
		for name := range targets {
			client := clientTLS()
			client.ServerName, client.InsecureSkipVerify = name, true
			wire := &tapped{Conn: reach(t, address, net.Dialer{}).Conn, byByte: true}
			p := peer{wire, t}.secures(client)
			p.hearsEnd(name)
		}
		p := reach(t, address, net.Dialer{})
		p.says("GET / HTTP/1.1\r\n\r\n")
		p.hearsReset()
	})
}

// A client whose hello waits for a place is not late, however long that takes; one whose own callback waits is.
func TestHandshakeThatWaitsForItsTurnIsNotLate(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops, s.Handshakes = 1, 1
		s.HandshakeTimeout = time.Second
		s.Accept = everyone(echo)
		why := refusals(s)
		entered, release := make(chan bool, 1), make(chan bool)
		s.TLSConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if hello.ServerName == "slow.example" {
				entered <- true
				<-release
			}
			return nil, nil
		}
		address := start(t, s)
		slow := clientTLS()
		slow.ServerName = "slow.example"
		go tls.Client(reach(t, address, net.Dialer{}).Conn, slow).Handshake()
		next(t, entered)
		wire := reach(t, address, net.Dialer{})
		served := make(chan bool, 1)
		go func() {
			p := wire.secures(clientTLS())
			p.says("served")
			p.hears("served")
			served <- true
		}()
		if err := next(t, why); !errors.Is(err, switchboard.ErrHandshakeTimeout) {
			t.Errorf("refused for %v", err)
		}
		time.Sleep(3 * s.HandshakeTimeout / 2) // the place is taken until the callback returns
		if len(why) > 0 || len(served) > 0 {
			t.Error("the second client did not wait")
		}
		close(release)
		next(t, served)
	})
}
