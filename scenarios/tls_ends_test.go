package scenarios

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// A client may say nothing at all, and end: in order, without a word, or in place of its hello.
func TestClientThatSaysNothingOverTLSEndsAsItLikes(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		why := refusals(s)
		address := start(t, s)
		p := callTLS(t, address, client)
		p.endsOutput()
		p.hearsEnd("")
		if err := next(t, h.ended); err != nil {
			t.Errorf("in order, it ended with %v", err)
		}
		p = callTLS(t, address, client)
		p.Conn.(*tls.Conn).NetConn().Close()
		if err := next(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("without a word, it ended with %v", err)
		}
		reach(t, address, net.Dialer{}).Close()
		if err := next(t, why); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("in place of its hello, it was refused for %v", err)
		}
	})
}

// A handshake that goes on, but a byte at a time, is over at its timeout all the same.
func TestByteAtATimeDoesNotOutliveTheHandshakeTimeout(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.HandshakeTimeout = 200 * time.Millisecond
		s.Accept = everyone(echo)
		why := refusals(s)
		p := reach(t, start(t, s), net.Dialer{})
		hello := clientHello()
		for len(why) == 0 && hello != "" {
			if _, err := io.WriteString(p, hello[:1]); err != nil {
				break // it has been hung up on
			}
			hello = hello[1:]
			time.Sleep(10 * time.Millisecond)
		}
		if err := next(t, why); !errors.Is(err, switchboard.ErrHandshakeTimeout) {
			t.Errorf("refused for %v", err)
		}
	})
}

func TestClientCertificatesAreVerified(t *testing.T) {
	expired := selfSigned(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	unknown := selfSigned(t, func(*x509.Certificate) {})
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
		s.TLSConfig.ClientCAs = x509.NewCertPool()
		s.TLSConfig.ClientCAs.AddCert(expired.Leaf)
		s.Accept = everyone(echo)
		why := refusals(s)
		address := start(t, s)
		for want, own := range map[string]tls.Certificate{"expired": expired, "unknown authority": unknown} {
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
			c := tls.Client(reach(t, address, net.Dialer{}).Conn, client)
			if _, err := io.ReadAll(c); err == nil || !strings.Contains(err.Error(), "tls: ") {
				t.Errorf("%s: the client heard %v", want, err)
			}
			if err := next(t, why); !strings.Contains(err.Error(), want) {
				t.Errorf("%s: refused for %v", want, err)
			}
		}
	})
}

// s_server asks for a renegotiation with r, for an update of keys with K; a line it sends as it is.
func TestDialTLSOutlivesKeyUpdatesAndRefusesRenegotiation(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		cert, key := pemFiles(t, ours())
		server := talk(t, "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key)
		address := server.hearsBeginning("ACCEPT ", false)
		heard := make(chan string, 10_000)
		h := &greeter{watched: watch(func(c *switchboard.Conn, p []byte) (int, error) {
			heard <- string(p)
			return len(p), nil
		}), greeting: "hello\n"}
		dialling(t, s)
		if _, err := s.DialTLS(context.Background(), address, client, h); err != nil {
			t.Fatal(err)
		}
		server.hearsLine("hello")
		if client.MaxVersion == tls.VersionTLS12 {
			server.says("r\n")
			if err := next(t, h.ended); err == nil || !strings.Contains(err.Error(), "tls: ") {
				t.Errorf("ended with %v", err)
			}
			return
		}
		for i, update := range []string{"K\n", "k\n", "K\n"} {
			server.says(update)
			line := fmt.Sprintln("update", i)
			eventually(t, "it goes on", func() bool { // what comes together with an update openssl drops
				server.says(line)
				return len(heard) > 0 && strings.Contains(<-heard, line)
			})
		}
	})
}

func TestPipeOverTLSPassesOnThatItWasCutOff(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		target := foreign(t, serverTLS(), func(c net.Conn) {
			io.WriteString(c, "half of it")
			c.(*tls.Conn).NetConn().Close()
		})
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			to, err := c.DialTLS(context.Background(), target, client, echo)
			if err != nil {
				return nil, err
			}
			switchboard.Pipe(c, to)
			return c.Handler(), nil
		}
		conn, err := net.Dial("tcp", start(t, s))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		cut := make(chan bool, 1)
		p := tls.Client(&watchedEnd{conn, cut}, client)
		heard, err := io.ReadAll(p)
		if string(heard) != "half of it" || !systest.Is(err, syscall.ECONNRESET) {
			t.Errorf("heard %q, %v", heard, err)
		}
	})
}

// A watchedEnd tells whether its end was read, before which crypto/tls stops if it has read a close_notify.
type watchedEnd struct {
	net.Conn
	ended chan bool
}

func (c *watchedEnd) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.ended <- true
	}
	return n, err
}
