package scenarios

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// foreign serves connections with crypto/tls on goroutines, or without TLS if config is nil.
func foreign(t testing.TB, config *tls.Config, serve func(c net.Conn)) (address string) {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if config == nil {
					serve(c)
					return
				}
				over := tls.Server(c, config)
				if over.Handshake() == nil {
					serve(over)
					over.Close()
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dialTLS(t testing.TB, s *switchboard.Server, address string, config *tls.Config, h switchboard.Handler) *switchboard.Conn {
	t.Helper()
	c, err := s.DialTLS(context.Background(), address, config, h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDialledTLSConnectionIsServedLikeAnAcceptedOne(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		said := noise(8, 500_000)
		address := foreign(t, serverTLS(), sendBack)
		dialling(t, s)
		var heard strings.Builder
		h := newDialler()
		h.watched.data = func(c *switchboard.Conn, p []byte) (int, error) {
			if heard.Write(p); heard.Len() == len(said) {
				c.CloseWrite()
			}
			return len(p), nil
		}
		c := dialTLS(t, s, address, client, h)
		if c.TLS() != nil {
			t.Error("it knows its handshake beforehand")
		}
		c.Write([]byte(said)) // before it is there
		if err := next(t, h.ended); err != nil || heard.String() != said {
			t.Errorf("%d bytes of %d came back, then %v", heard.Len(), len(said), err)
		}
		if st := c.TLS(); st == nil || st.Version != client.MaxVersion {
			t.Errorf("the state is %+v", st)
		}
	})
}

func TestDialTLSVerifiesByDefault(t *testing.T) {
	expired := selfSigned(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	elsewhere := selfSigned(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"elsewhere.example"}, nil })
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		knows := func(c tls.Certificate) *tls.Config {
			roots := x509.NewCertPool()
			roots.AddCert(c.Leaf)
			return &tls.Config{RootCAs: roots}
		}
		for name, dial := range map[string]struct {
			server tls.Certificate
			client *tls.Config
			want   any
		}{
			"unknown, by default": {ours(), nil, new(x509.UnknownAuthorityError)},
			"expired":             {expired, knows(expired), new(x509.CertificateInvalidError)},
			"another's":           {elsewhere, knows(elsewhere), new(x509.HostnameError)},
		} {
			address := foreign(t, &tls.Config{Certificates: []tls.Certificate{dial.server}}, func(net.Conn) {})
			h := newDialler()
			_, late := dialTLS(t, s, address, dial.client, h).Write([]byte("never sent"))
			err := next(t, h.ended)
			if !errors.As(err, dial.want) || errors.Is(err, switchboard.ErrUnsent) != (late == nil) ||
				!strings.HasPrefix(err.Error(), "dial tcp "+address+": tls: ") {
				t.Errorf("%s: %v", name, err)
			}
			if len(h.opened) > 0 {
				t.Errorf("%s: it was opened", name)
			}
		}
		// What is verified by default is the host of the address.
		h := newDialler()
		dialTLS(t, s, foreign(t, serverTLS(), func(net.Conn) {}), knows(ours()), h)
		next(t, h.opened)
	})
}

// selfSigned is certs.SelfSigned with a change.
func selfSigned(t testing.TB, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := *ours().Leaf
	template.SerialNumber, template.PublicKey = big.NewInt(2), nil
	change(&template)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestDialTLSRefusesWhatCannotBe(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		for want, dial := range map[string]struct {
			address string
			config  *tls.Config
		}{
			"Renegotiation":   {"127.0.0.1:1", &tls.Config{Renegotiation: tls.RenegotiateFreelyAsClient}},
			"ServerName":      {"/run/socket", nil},
			"missing port":    {"127.0.0.1", nil},
			"too many colons": {"::1", &tls.Config{InsecureSkipVerify: true}},
		} {
			if _, err := s.DialTLS(context.Background(), dial.address, dial.config, echo); err == nil ||
				!strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "dial ") {
				t.Errorf("%s: %v", dial.address, err)
			}
		}
	})
}

func TestDialTLSEndsWithItsContextAndItsTimeout(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.HandshakeTimeout = 50 * time.Millisecond
		dialling(t, s)
		l := listen(t) // accepts in the backlog, and says nothing
		h := newDialler()
		dialTLS(t, s, l.Addr().String(), clientTLS(), h)
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrHandshakeTimeout) {
			t.Errorf("ended with %v", err)
		}
	})
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		l := listen(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		h := newDialler()
		if _, err := s.DialTLS(ctx, l.Addr().String(), clientTLS(), h); err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Read(make([]byte, 1)) // its hello has begun
		enough := errors.New("enough")
		cancel(enough)
		if err := next(t, h.ended); !errors.Is(err, enough) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestDialTLSMayBeClosedDuringItsHandshake(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		l := listen(t)
		h := newDialler()
		c := dialTLS(t, s, l.Addr().String(), clientTLS(), h)
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		peer.Read(make([]byte, 1))
		c.Close()
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrAborted) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestDialTLSToSomethingElseSaysSo(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		l := listen(t)
		go func() {
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				io.WriteString(c, "220 mail.example ESMTP\r\n") // speaks first, and not TLS
				defer c.Close()
			}
		}()
		h := newDialler()
		dialTLS(t, s, l.Addr().String(), clientTLS(), h)
		if err := next(t, h.ended); !errors.As(err, new(tls.RecordHeaderError)) {
			t.Errorf("ended with %v", err)
		}
	})
}

// A panic of what crypto/tls calls on the loop, when the server sends a session ticket, is its connection's.
func TestPanicOfASessionCacheEndsItsConnectionOnly(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		logTo(s)
		address := foreign(t, serverTLS(), sendBack)
		other := newDialler()
		c := dialTLS(t, s, address, clientTLS(), other)
		next(t, other.opened)
		config := clientTLS()
		config.ClientSessionCache = panickyCache{}
		h := newDialler()
		dialTLS(t, s, address, config, h)
		if err := next(t, h.ended); !errors.As(err, new(*switchboard.PanicError)) {
			t.Errorf("ended with %v", err)
		}
		c.CloseWrite()
		if err := next(t, other.ended); err != nil {
			t.Errorf("the other ended with %v", err)
		}
	})
}

type panickyCache struct{}

func (panickyCache) Get(string) (*tls.ClientSessionState, bool)    { return nil, false }
func (panickyCache) Put(_ string, session *tls.ClientSessionState) { panic("in Put") }

// A proxy that ends TLS in front of a plain target, one that begins it, and one that does both.
func TestPipeOverTLS(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		plain := &switchboard.Server{Engine: s.Engine, Loops: 1, Accept: everyone(echo)}
		secure := &switchboard.Server{Engine: s.Engine, Loops: 1, Accept: everyone(echo), TLSConfig: serverTLS()}
		targets := []string{start(t, plain), start(t, secure)}
		for _, in := range []bool{true, false} {
			for i, target := range targets {
				proxy := &switchboard.Server{Engine: s.Engine, Loops: 2}
				if in {
					proxy.TLSConfig = serverTLS()
				}
				proxy.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
					var to *switchboard.Conn
					var err error
					if i == 0 {
						to, err = c.Dial(context.Background(), target, echo)
					} else {
						to, err = c.DialTLS(context.Background(), target, client, echo)
					}
					if err != nil {
						return nil, err
					}
					switchboard.Pipe(c, to)
					return c.Handler(), nil
				}
				p := call(t, start(t, proxy))
				said := noise(byte(i), 3_000_000)
				go func() {
					io.WriteString(p, said)
					p.endsOutput()
				}()
				p.hearsEnd(said)
			}
		}
	})
}
