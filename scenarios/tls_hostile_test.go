package scenarios

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// refusals are told of the handshakes that fail.
func refusals(s *switchboard.Server) <-chan error {
	why := make(chan error, 1000)
	s.Trace = &switchboard.Trace{Refused: func(_ *switchboard.Conn, err error) { why <- err }}
	return why
}

func TestTruncatedStreamIsNotAnOrderlyEnd(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		heard := make(chan string, 10)
		h := &ender{watch(func(c *switchboard.Conn, p []byte) (int, error) {
			heard <- string(p)
			return len(p), nil
		}), func(*switchboard.Conn, []byte) error {
			t.Error("an orderly end")
			return nil
		}}
		s.Accept = everyone(h)
		p := callTLS(t, start(t, s), client)
		p.says("all that comes")
		p.Conn.(*tls.Conn).NetConn().Close()
		if got := next(t, heard); got != "all that comes" {
			t.Errorf("heard %q", got)
		}
		if err := next(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

// What is authentic is offered before the connection is called cut off, even if the handler is not ready for it.
func TestPausedHandlerHearsWhatCameBeforeTheCut(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		heard := make(chan string, 10)
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			if heard <- string(p); string(p) == "first" {
				c.Pause()
			}
			return len(p), nil
		})
		conns := accepted(s, h)
		p := callTLS(t, start(t, s), client)
		c := next(t, conns)
		p.says("first")
		next(t, heard)
		c.Do(c.Resume)
		onLoop(t, c, c.Pause) // else it may read once more before
		p.says("second")
		p.Conn.(*tls.Conn).NetConn().Close()
		stays(t, "it waits", func() bool { return len(h.ended) == 0 && len(heard) == 0 })
		c.Do(c.Resume)
		if got := next(t, heard); got != "second" {
			t.Errorf("heard %q", got)
		}
		if err := next(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

// A client of TLS 1.3 is done with the handshake before the server is. If that gives up then, the client does not see a stream
// without bytes that ends in order.
func TestHandshakeTimeoutIsNoEndInOrder(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.HandshakeTimeout = 300 * time.Millisecond
		why := refusals(s)
		s.Accept = everyone(echo)
		address := start(t, s)
		client := clientTLS()
		client.MinVersion = tls.VersionTLS13
		shakes := func() (*tls.Conn, error) {
			wire := &tapped{Conn: reach(t, address, net.Dialer{}).Conn}
			written := 0
			wire.change = func([]byte) {
				if written++; written > 1 { // all but the ClientHello
					wire.hold = true
				}
			}
			secure := tls.Client(wire, client)
			return secure, secure.Handshake()
		}
		secure, err := shakes()
		for ; err != nil; secure, err = shakes() { // the machine is so busy that the server gave up before
			next(t, why)
		}
		if err := next(t, why); !errors.Is(err, switchboard.ErrHandshakeTimeout) {
			t.Errorf("refused with %v", err)
		}
		if n, err := secure.Read(make([]byte, 1)); n > 0 || err == nil || err == io.EOF {
			t.Errorf("the client hears %d bytes and %v", n, err)
		}
	})
}

func TestClientThatClosesInTheMiddleOfARecordIsCutOff(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		wire := &tapped{Conn: reach(t, start(t, s), net.Dialer{}).Conn}
		p := peer{wire, t}.secures(client)
		p.says("whole")
		p.hears("whole")
		wire.hold = true
		p.says(strings.Repeat("half", 100))
		wire.held = wire.held[:len(wire.held)/2]
		wire.release()
		wire.Close()
		if err := next(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestChangedRecordEndsItsConnectionOnly(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		address := start(t, s)
		other := callTLS(t, address, client)
		wire := &tapped{Conn: reach(t, address, net.Dialer{}).Conn}
		p := peer{wire, t}.secures(client)
		wire.change = func(p []byte) { p[len(p)-1] ^= 1 }
		p.says("hello")
		if _, err := io.ReadAll(p); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("the client heard %v", err)
		}
		p.Close()
		if err := next(t, h.ended); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("ended with %v", err)
		}
		other.says("hello")
		other.hears("hello")
	})
}

func TestWrongProtocolIsToldToWhoWatches(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		why := refusals(s)
		s.Accept = func(*switchboard.Conn) (switchboard.Handler, error) {
			t.Error("it was accepted")
			return echo, nil
		}
		address := start(t, s)
		for _, said := range []string{"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "hello", "\x80\x2e\x01\x00\x02 an old hello",
			"\x16\x03\x01\x00\x05hello", "\x16\x03\x01\xff\xff" + strings.Repeat("x", 40_000), "\x15\x03\x01\x00\x02\x01\x00"} {
			p := reach(t, address, net.Dialer{})
			p.says(said)
			io.Copy(io.Discard, p) // an alert or nothing, and the end
			p.Close()              // else the server lingers
			err := next(t, why)
			if header := new(tls.RecordHeaderError); strings.HasPrefix(said, "GET") != errors.As(err, header) && said[0] == 'G' {
				t.Errorf("%.10q: %v", said, err)
			}
			if !strings.HasPrefix(err.Error(), "handshake tcp 127.0.0.1:") {
				t.Errorf("%.10q: %v", said, err)
			}
		}
		eventually(t, "nobody is there", func() bool { st := s.Stats(); return st.Active == 0 && st.Refused == 6 && st.Handshakes == 0 })
	})
}

// As net/http does it, which knows that HTTP is what was meant.
func TestWrongProtocolMayBeAnswered(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		s.Trace = &switchboard.Trace{Refused: func(_ *switchboard.Conn, err error) {
			if header := new(tls.RecordHeaderError); errors.As(err, header) && header.Conn != nil {
				io.WriteString(header.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis is HTTPS.\n")
			}
		}}
		resp, err := http.Get("http://" + start(t, s))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != 400 || string(body) != "This is HTTPS.\n" || err != nil {
			t.Errorf("%s: %q, %v", resp.Status, body, err)
		}
	})
}

func TestClientThatSaysNothingIsNoGoroutine(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		why := refusals(s)
		address := start(t, s)
		call(t, address)
		goroutines := runtime.NumGoroutine()
		var silent []peer
		for range 50 {
			silent = append(silent, reach(t, address, net.Dialer{}))
			p := reach(t, address, net.Dialer{})
			p.says("\x16\x03\x01\x02\x00\x01") // a hello begins so
			silent = append(silent, p)
		}
		eventually(t, "all are there", func() bool { return s.Stats().Active == 101 })
		settles(t, "no goroutine is theirs", func() bool { return runtime.NumGoroutine() <= goroutines })
		for _, p := range silent {
			p.Close()
		}
		for range silent {
			if err := next(t, why); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("refused for %v", err)
			}
		}
	})
}

func TestHandshakeHasATimeout(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		whileCalm(t, 50*time.Millisecond, func(span time.Duration, pace *pace) error {
			s := &switchboard.Server{Engine: s.Engine, Loops: 2, Logger: s.Logger, TLSConfig: s.TLSConfig.Clone(),
				HandshakeTimeout: span, Accept: everyone(echo)}
			ctx := make(chan context.Context, 10)
			s.TLSConfig.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				ctx <- hello.Context()
				return &s.TLSConfig.Certificates[0], nil
			}
			why := refusals(s)
			address := start(t, s)
			began := time.Now()
			for name, stalls := range map[string]func(p peer) error{
				"before its hello":        func(peer) error { return nil },
				"in the middle of it":     func(p peer) error { return attempt(p, "\x16\x03\x01\x02\x00\x01", "") },
				"in the middle of it all": func(p peer) error { return attempt(p, clientHello(), "\x16\x03\x03") }, // its own hello
			} {
				p := reach(t, address, net.Dialer{})
				err := stalls(p)
				pace.step()
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if err := next(t, why); !errors.Is(err, switchboard.ErrHandshakeTimeout) {
					t.Errorf("%s: refused for %v", name, err)
				}
				io.Copy(io.Discard, p)
				pace.last = time.Now()
			}
			if took := time.Since(began); took < 3*span-10*time.Millisecond {
				t.Errorf("three took %v", took)
			}
			<-next(t, ctx).Done()
			over := tls.Client(reach(t, address, net.Dialer{}).Conn, clientTLS())
			err := over.Handshake()
			pace.step()
			if err != nil {
				return err
			}
			if err := attempt(peer{over, t}, "served", "served"); err != nil {
				return err
			}
			stays(t, "who is served stays", func() bool { return s.Stats().Active == 1 })
			pace.last = time.Now()
			return nil
		})
	})
}

func helloOnly(p peer) {
	p.t.Helper()
	p.says(clientHello())
	p.hears("\x16\x03\x03") // its own hello
}

// clientHello is a client's first record.
func clientHello() string {
	here, there := net.Pipe()
	defer there.Close()
	go tls.Client(here, clientTLS()).Handshake()
	head := make([]byte, 5)
	io.ReadFull(there, head)
	rest := make([]byte, int(head[3])<<8|int(head[4]))
	io.ReadFull(there, rest)
	return string(head) + string(rest)
}

func TestHandshakeMayBeReset(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		why := refusals(s)
		address := start(t, s)
		for _, said := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
			p := reach(t, address, net.Dialer{})
			p.says(said)
			eventually(t, "it is there", func() bool { return s.Stats().Active == 1 })
			p.resets()
			next(t, why)
			eventually(t, "it is gone", func() bool { return s.Stats().Active == 0 })
		}
	})
}

// A client that a server cannot believe hears why.
func TestClientWithoutACertificateHearsThatItNeedsOne(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
		s.TLSConfig.ClientCAs = client.RootCAs
		s.Accept = everyone(echo)
		why := refusals(s)
		address := start(t, s)
		for range 20 {
			c := tls.Client(reach(t, address, net.Dialer{}).Conn, client)
			io.WriteString(c, "it may say so much before it knows: "+noise(1, 1000))
			if _, err := io.ReadAll(c); err == nil || !strings.Contains(err.Error(), "tls: ") {
				t.Errorf("the client heard %v", err)
			}
			c.Close()
			if err := next(t, why); !strings.Contains(err.Error(), "certificate") {
				t.Errorf("refused for %v", err)
			}
		}
		client.Certificates = []tls.Certificate{ours()}
		p := callTLS(t, address, client)
		p.says("now")
		p.hears("now")
	})
}

func TestPanicOfACallbackEndsItsHandshakeOnly(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		log := logTo(s)
		why := refusals(s)
		s.TLSConfig.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == "panic.example" {
				panic("in GetCertificate")
			}
			return nil, nil
		}
		address := start(t, s)
		config := clientTLS()
		config.ServerName = "panic.example"
		if err := tls.Client(reach(t, address, net.Dialer{}).Conn, config).Handshake(); err == nil {
			t.Error("it was served")
		}
		panicked := new(switchboard.PanicError)
		if err := next(t, why); !errors.As(err, &panicked) || panicked.Value != "in GetCertificate" {
			t.Errorf("refused for %v", err)
		}
		if !strings.Contains(log(), "in GetCertificate") {
			t.Error("the log does not tell")
		}
		call(t, address).says("x")
	})
}

func TestRenegotiationIsRefused(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		c := openssl(t, start(t, s), "-tls1_2")
		c.says("hello\n")
		c.hearsLine("hello")
		c.says("R\n")
		if err := next(t, h.ended); err == nil || !strings.Contains(err.Error(), "tls: ") {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestKeysAreUpdated(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		c := openssl(t, start(t, s), "-tls1_3")
		for _, update := range []string{"K\n", "k\n", "K\n", "K\n"} { // K asks the server to update its own as well
			c.says("hello\n")
			c.hearsLine("hello")
			c.says(update)
			c.hearsLine("KEYUPDATE")
		}
		c.says("and on\n")
		c.hearsLine("and on")
	})
}

func TestInputLimitHoldsOverTLS(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		const most = 200_000
		s.InputLimit = 100_000
		all := noise(5, 2_000_000)
		open, heard := false, new(strings.Builder)
		over := make(chan bool, 1)
		h := switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			if len(p) > s.InputLimit {
				t.Errorf("%d bytes were offered", len(p))
			}
			if !open {
				return 0, nil
			}
			heard.Write(p)
			if heard.Len() >= len(all) {
				over <- true
			}
			return len(p), nil
		})
		conns := accepted(s, h)
		p := callTLS(t, start(t, s), client)
		go io.WriteString(p, all)
		c := next(t, conns)
		ahead := int64(0) // what the kernel may have received before it was told to stop
		if s.Engine == "uring" {
			ahead = 1 << 20
		}
		eventually(t, "the limit is reached", func() (reached bool) {
			onLoop(t, c, func() { reached = c.Buffered() >= 100_000 })
			return reached
		})
		stays(t, "little more is read", func() bool { return c.Received() < most+ahead })
		c.Do(func() {
			if n := int64(c.Buffered()); n < 100_000 || n > most+ahead {
				t.Errorf("%d bytes are kept", n)
			}
			open = true
			c.Resume()
		})
		next(t, over)
		if heard.String() != all {
			t.Error("it is not what was said")
		}
	})
}

func TestQueueLimitHoldsOverTLS(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		h := watch((*switchboard.Conn).Write)
		conns := accepted(s, h)
		p := callTLS(t, start(t, s), client)
		c := next(t, conns)
		piece := make([]byte, 100_000)
		writes := func() (taken int) {
			n, err := c.Write(piece)
			if err != nil && (n != 0 || !errors.Is(err, switchboard.ErrQueueFull)) {
				t.Fatalf("Write took %d and said %v", n, err)
			}
			return n
		}
		for range 10_000 {
			writes()
		}
		settles(t, "the system takes no more", func() bool { return writes() == 0 })
		if n := c.Queued(); n > 1<<20 || n < 900_000 || !c.Full() {
			t.Errorf("%d are queued", n)
		}
		p.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
		p.Conn.(*tls.Conn).NetConn().Close()
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrUnsent) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestOnlyWhatWriteTookIsCalledUnsent(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		h := watch((*switchboard.Conn).Write)
		conns := accepted(s, h)
		p := callTLS(t, start(t, s), client)
		c := next(t, conns)
		p.says("x")
		p.hears("x")
		p.resets()
		if err := next(t, h.ended); errors.Is(err, switchboard.ErrUnsent) {
			t.Errorf("everything was sent, but it ended with %v", err)
		}
		if _, err := c.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write said %v", err)
		}
	})
}
