package scenarios

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
)

func TestEchoOverTLS(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.Accept = everyone(echo)
		p := callTLS(t, start(t, s), client)
		p.says("hello")
		p.hears("hello")
		said := noise(1, 1_000_000)
		go p.says(said)
		p.hears(said)
		p.endsOutput()
		p.hearsEnd("")
	})
}

// What a client says together with the last of its handshake is offered at once.
func TestNothingWaitsInsideTLSWhenTheHandshakeIsDone(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		address := start(t, s)
		for range 10 {
			wire := &tapped{Conn: reach(t, address, net.Dialer{}).Conn}
			wire.read = func([]byte) { wire.hold = true } // what follows the server's answer
			p := peer{wire, t}.secures(clientTLS())
			p.says("first")
			if err := wire.release(); err != nil {
				t.Fatal(err)
			}
			p.hears("first")
		}
	})
}

func TestConnTellsWhatTheHandshakeAgreedOn(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.TLSConfig.NextProtos = []string{"other", "line/1"}
		s.TLSConfig.ClientAuth = tls.RequireAnyClientCert
		client.NextProtos = []string{"line/1"}
		client.Certificates = []tls.Certificate{ours()}
		states := make(chan *tls.ConnectionState, 2)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			states <- c.TLS()
			return switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
				state := conn.(interface{ ConnectionState() tls.ConnectionState }).ConnectionState()
				states <- &state
				return io.EOF
			}), nil
		}
		p := callTLS(t, start(t, s), client)
		p.says("x")
		for range 2 {
			state := next(t, states)
			if state == nil || !state.HandshakeComplete || state.Version != client.MaxVersion || state.ServerName != "localhost" ||
				state.NegotiatedProtocol != "line/1" || len(state.PeerCertificates) != 1 ||
				!state.PeerCertificates[0].Equal(ours().Leaf) {
				t.Errorf("the state is %+v", state)
			}
		}
	})
}

func TestConnWithoutTLSHasNoStateOfIt(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		states := make(chan *tls.ConnectionState, 1)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			states <- c.TLS()
			return echo, nil
		}
		call(t, start(t, s))
		if state := next(t, states); state != nil {
			t.Errorf("the state is %+v", state)
		}
	})
}

func TestSessionsAreResumed(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		resumed := make(chan bool, 10)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			resumed <- c.TLS().DidResume
			return echo, nil
		}
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		address := start(t, s)
		for _, want := range []bool{false, true, true} {
			p := callTLS(t, address, client)
			p.says("x")
			p.hears("x") // and the ticket before it
			p.Close()
			if next(t, resumed) != want {
				t.Errorf("resumed: %v, want %v", !want, want)
			}
		}
	})
}

func TestCertificateIsChosenByName(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.Accept = everyone(echo)
		s.TLSConfig.Certificates = nil
		client.RootCAs = x509.NewCertPool()
		for _, name := range []string{"one.example", "two.example"} {
			c, err := certs.SelfSigned(name)
			if err != nil {
				t.Fatal(err)
			}
			s.TLSConfig.Certificates = append(s.TLSConfig.Certificates, c)
			client.RootCAs.AddCert(c.Leaf)
		}
		address := start(t, s)
		for _, client.ServerName = range []string{"two.example", "one.example"} {
			p := callTLS(t, address, client)
			p.says(client.ServerName)
			p.hears(client.ServerName)
		}
	})
}

func TestKeysAreLogged(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		var log collector
		s.TLSConfig.KeyLogWriter = &log
		s.Accept = everyone(echo)
		callTLS(t, start(t, s), client).says("x")
		eventually(t, "the keys are logged", func() bool { return strings.Contains(log.String(), "CLIENT_") })
	})
}

// Every byte on its own, of the handshake as well, is what the slowest of networks brings.
func TestOneByteAtATimeIsEnough(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.Accept = everyone(echo)
		slow := &tapped{Conn: reach(t, start(t, s), net.Dialer{}).Conn, byByte: true}
		p := peer{slow, t}.secures(client)
		p.says("every byte on its own")
		p.hears("every byte on its own")
		p.endsOutput()
		p.hearsEnd("")
	})
}

func TestManySmallWritesOfOneTurnAreOneRecordAndOneCall(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		pieces := func(c *switchboard.Conn) {
			for range 50 {
				c.Write([]byte("piece "))
				c.Writev([]byte("of"), nil, []byte(" it; "))
			}
		}
		conns := accepted(s, switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			pieces(c)
			return len(p), nil
		}))
		wire := &tapped{Conn: packets(t, s)().Conn}
		p := peer{wire, t}.secures(client)
		p.says("go")
		all := strings.Repeat("piece of it; ", 50)
		p.hears(all)
		c := next(t, conns)
		for _, write := range []func(){
			func() { p.says("go") },
			func() { c.Do(func() { pieces(c) }) },
			func() { c.Do(func() { c.After(0, func() { pieces(c) }) }) },
		} {
			var packets [][]byte
			wire.read = func(p []byte) { packets = append(packets, bytes.Clone(p)) }
			write()
			p.hears(all)
			if len(packets) != 1 || len(records(t, packets[0])) != 1 {
				t.Errorf("%d calls sent it; the first %v", len(packets), records(t, packets[0]))
			}
		}
	})
}

func TestRecordsAreFullUnderLoad(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.TLSConfig.DynamicRecordSizingDisabled = true // else crypto/tls begins with short ones
		said := noise(3, 900_000)
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			for rest := said; rest != ""; { // in pieces of any size
				n := min(len(rest), 1+len(rest)%5000)
				if _, err := c.Write([]byte(rest[:n])); err != nil {
					return 0, err
				}
				rest = rest[n:]
			}
			return len(p), nil
		}))
		var got []byte
		wire := &tapped{Conn: reach(t, start(t, s), net.Dialer{}).Conn}
		p := peer{wire, t}.secures(client)
		wire.read = func(p []byte) { got = append(got, p...) }
		p.says("go")
		p.hears(said)
		sizes := records(t, got)
		if len(sizes) > len(said)/(16<<10)+4 { // a session ticket may be before it
			t.Errorf("%d records for %d bytes: %v", len(sizes), len(said), sizes)
		}
	})
}

// records returns the sizes of the records in p, whole ones.
func records(t testing.TB, p []byte) (sizes []int) {
	t.Helper()
	for len(p) > 0 {
		n := 5
		if len(p) > n {
			n += int(p[3])<<8 | int(p[4])
		}
		if len(p) < n {
			t.Fatalf("half a record: %d bytes", len(p))
		}
		sizes = append(sizes, n)
		p = p[n:]
	}
	return sizes
}

func TestAcceptMayRefuseOverTLSAndSayWhy(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			c.Write([]byte("busy\n"))
			return nil, errors.New("no room")
		}
		p := callTLS(t, start(t, s), client)
		p.hearsEnd("busy\n") // a close_notify before the end, else it were cut off
		p.Close()            // else the server lingers
		eventually(t, "nobody is there", func() bool { st := s.Stats(); return st.Refused == 1 && st.Active == 0 })
	})
}

func TestServerWithoutACertificateSaysSoAtOnce(t *testing.T) {
	s := &switchboard.Server{Accept: everyone(echo), TLSConfig: &tls.Config{}}
	if err := s.ListenAndServe("127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("served: %v", err)
	}
}
