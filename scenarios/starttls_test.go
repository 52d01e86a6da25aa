//go:build unix

package scenarios

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// A postOffice speaks as much SMTP as its clients need to begin TLS (RFC 3207).
type postOffice struct {
	*watched
	heard chan string // the commands, with "TLS " before those that came encrypted
}

func newPostOffice() *postOffice {
	h := &postOffice{heard: make(chan string, 1000)}
	h.watched = watch(h.command)
	return h
}

func (h *postOffice) Opened(c *switchboard.Conn) error {
	_, err := io.WriteString(c, "220 here ESMTP\r\n")
	return err
}

// command serves the first line of p.
func (h *postOffice) command(c *switchboard.Conn, p []byte) (int, error) {
	line, _, whole := bytes.Cut(p, []byte("\r\n"))
	if !whole {
		return 0, nil
	}
	said := string(line)
	if c.TLS() != nil {
		said = "TLS " + said
	}
	h.heard <- said
	n := len(line) + 2
	switch verb, _, _ := strings.Cut(strings.ToUpper(string(line)), " "); verb {
	case "EHLO":
		io.WriteString(c, "250-here\r\n250 STARTTLS\r\n")
	case "STARTTLS":
		io.WriteString(c, "220 begin\r\n")
		return n, c.StartTLS(nil)
	case "QUIT":
		io.WriteString(c, "221 bye\r\n")
		return n, io.EOF
	default:
		io.WriteString(c, "250 so be it\r\n")
	}
	return n, nil
}

// overSTARTTLS runs a test with a post office that listens without TLS.
func overSTARTTLS(t *testing.T, promise func(t *testing.T, s *switchboard.Server, h *postOffice, address string)) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		h := newPostOffice()
		s.Accept = everyone(h)
		config := s.TLSConfig
		s.TLSConfig = nil // nobody speaks TLS from the beginning
		office := *h.watched
		h.watched = &office
		data := h.watched.data
		h.watched.data = func(c *switchboard.Conn, p []byte) (int, error) {
			if bytes.HasPrefix(p, []byte("STARTTLS\r\n")) && c.TLS() == nil {
				h.heard <- "STARTTLS"
				io.WriteString(c, "220 begin\r\n")
				return len("STARTTLS\r\n"), c.StartTLS(config)
			}
			return data(c, p)
		}
		promise(t, s, h, start(t, s))
	})
}

func TestProgramsBeginTLSInTheMiddle(t *testing.T) {
	overSTARTTLS(t, func(t *testing.T, s *switchboard.Server, h *postOffice, address string) {
		c := openssl(t, address, "-starttls", "smtp", "-crlf")
		c.says("NOOP\n")
		c.hearsLine("250 so be it")
		c.says("quit\n") // Q would be a command of its own
		c.hearsLine("221 bye")
		if err := next(t, h.ended); err != nil {
			t.Errorf("openssl: ended with %v", err)
		}
		cert, _ := pemFiles(t, ours())
		_, port, _ := net.SplitHostPort(address)
		said := run(t, `
import smtplib, ssl, sys
s = smtplib.SMTP("localhost", int(sys.argv[1]), timeout=20)
s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
print(s.noop(), s.quit(), s.sock)
`, "python3", "-", port, cert)
		if !strings.Contains(said, "(250, b'so be it') (221, b'bye') None") {
			t.Errorf("python said %s", said)
		}
		if err := next(t, h.ended); err != nil {
			t.Errorf("python: ended with %v", err)
		}
		said = run(t, "", "curl", "-sS", "--ssl-reqd", "--cacert", cert, "--noproxy", "*", "-X", "NOOP", "smtp://localhost:"+port)
		if said != "250 so be it\r\n" {
			t.Errorf("curl said %q", said)
		}
		if err := next(t, h.ended); err != nil {
			t.Errorf("curl: ended with %v", err)
		}
	})
}

// A client may send its first record together with the command, and together with the end of the handshake what comes then.
func TestWhatIsReadAheadOfSTARTTLSIsTheHandshake(t *testing.T) {
	overSTARTTLS(t, func(t *testing.T, s *switchboard.Server, h *postOffice, address string) {
		wire := &tapped{Conn: reach(t, address, net.Dialer{}).Conn}
		peer{wire, t}.hears("220 here ESMTP\r\n")
		wire.read = func([]byte) { wire.hold = true } // what follows the first record
		p := peer{tls.Client(&begins{Conn: wire}, clientTLS()), t}
		p.says("NOOP\r\n") // shakes hands first
		wire.release()
		p.hears("250 so be it\r\n")
		if got := next(t, h.heard) + ", " + next(t, h.heard); got != "STARTTLS, TLS NOOP" {
			t.Errorf("the commands were %q", got)
		}
	})
}

// begins puts the command in front of the first record, and reads the answer to it.
type begins struct {
	net.Conn
	begun, answered bool
}

func (c *begins) Write(p []byte) (int, error) {
	if c.begun {
		return c.Conn.Write(p)
	}
	c.begun = true
	_, err := c.Conn.Write(append([]byte("STARTTLS\r\n"), p...))
	return len(p), err
}

func (c *begins) Read(p []byte) (int, error) {
	if !c.answered {
		c.answered = true
		if _, err := io.ReadFull(c.Conn, make([]byte, len("220 begin\r\n"))); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// Plain text that somebody puts behind the command is never taken for what came encrypted.
func TestPlainTextBehindSTARTTLSFailsTheHandshake(t *testing.T) {
	overSTARTTLS(t, func(t *testing.T, s *switchboard.Server, h *postOffice, address string) {
		p := reach(t, address, net.Dialer{})
		p.hears("220 here ESMTP\r\n")
		p.says("STARTTLS\r\nMAIL FROM:<evil@example>\r\n")
		io.Copy(io.Discard, p)
		err := next(t, h.ended)
		if header := new(tls.RecordHeaderError); !errors.As(err, header) || !strings.HasPrefix(err.Error(), "handshake tcp ") {
			t.Errorf("ended with %v", err)
		}
		if next(t, h.heard); len(h.heard) > 0 {
			t.Errorf("it heard %q", <-h.heard)
		}
	})
}

// What was written before goes in the clear, and what is written from then on waits for the handshake.
func TestWriteBeforeAndAfterStartTLS(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		config := s.TLSConfig
		s.TLSConfig = nil
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			if c.TLS() != nil {
				return c.Write(p)
			}
			io.WriteString(c, "in the clear")
			err := c.StartTLS(config)
			io.WriteString(c, "encrypted")
			if again := c.StartTLS(config); again == nil || c.TLS() != nil {
				t.Error("twice")
			}
			return len(p), err
		}))
		p := reach(t, start(t, s), net.Dialer{})
		p.says("begin")
		p.hears("in the clear")
		stays(t, "nothing else comes", func() bool { return s.Stats().Handshakes == 0 })
		p = p.secures(clientTLS())
		p.hears("encrypted")
		p.says("and back")
		p.hears("and back")
		p.endsOutput()
		p.hearsEnd("")
	})
}

// A dialled connection is the client.
func TestDialledConnectionBeginsTLSInTheMiddle(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		target := foreign(t, nil, func(c net.Conn) {
			io.WriteString(c, "220 here\r\n")
			want := make([]byte, len("STARTTLS\r\n"))
			io.ReadFull(c, want)
			io.WriteString(c, "220 begin\r\n")
			over := tls.Server(c, serverTLS())
			io.Copy(over, over)
			over.CloseWrite()
		})
		heard := make(chan string, 100)
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			switch {
			case c.TLS() != nil:
				heard <- string(p)
				return len(p), nil
			case bytes.HasPrefix(p, []byte("220 here\r\n")):
				io.WriteString(c, "STARTTLS\r\n")
				return len("220 here\r\n"), nil
			case bytes.HasPrefix(p, []byte("220 begin\r\n")):
				if err := c.StartTLS(nil); err == nil {
					t.Error("without a name to expect")
				}
				err := c.StartTLS(clientTLS())
				io.WriteString(c, "secret")
				return len("220 begin\r\n"), err
			}
			return 0, nil
		})
		dialling(t, s)
		c, err := s.Dial(context.Background(), target, h)
		if err != nil {
			t.Fatal(err)
		}
		for got := ""; got != "secret"; {
			got += next(t, heard)
		}
		c.Close()
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

// What somebody puts behind the command in the clear is never a message, not even if the true client's handshake comes later.
func TestFramesAreNotSmuggledInFrontOfTLS(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		config := s.TLSConfig
		s.TLSConfig = nil
		heard := make(chan string, 1000)
		lines := switchboard.Messages(frame.Lines(100), func(c *switchboard.Conn, m []byte) error {
			heard <- string(m)
			if string(m) == "STARTTLS" && c.TLS() == nil {
				io.WriteString(c, "begin\n")
				return c.StartTLS(config)
			}
			return c.WriteMessage(frame.Lines(100), m)
		})
		h := &framed{lines, make(chan error, 2)}
		s.Accept = everyone(h)
		address := start(t, s)
		p := call(t, address)
		p.says("STARTTLS\nDELETE\n")
		p.hearsFailure("begin\n")
		if err := next(t, h.ended); err == nil {
			t.Error("ended in order")
		}
		if said := next(t, heard); said != "STARTTLS" {
			t.Errorf("heard %q", said)
		}
		if len(heard) > 0 {
			t.Errorf("heard %q, which came in the clear behind the command", <-heard)
		}

		// A client that does not wait for the answer begins its handshake there.
		nc := call(t, address).Conn
		if _, err := io.WriteString(nc, "NOOP\nSTART"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, len("NOOP\n"))); err != nil {
			t.Fatal(err)
		}
		c := tls.Client(&eager{nc, "TLS\n", len("begin\n")}, clientTLS())
		if _, err := io.WriteString(c, "hello\n"); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, len("hello\n"))
		if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "hello\n" {
			t.Errorf("answer: %q, %v", answer, err)
		}
	})
}

// An eager connection puts some bytes in front of the first that are written, and drops the first that are read.
type eager struct {
	net.Conn
	ahead string
	drop  int
}

func (c *eager) Write(p []byte) (int, error) {
	ahead := c.ahead
	c.ahead = ""
	n, err := c.Conn.Write(append([]byte(ahead), p...))
	return max(0, n-len(ahead)), err
}

func (c *eager) Read(p []byte) (int, error) {
	for c.drop > 0 {
		n, err := c.Conn.Read(p[:min(len(p), c.drop)])
		if c.drop -= n; err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

func TestStartTLSHasATimeoutAndIsTold(t *testing.T) {
	overSTARTTLS(t, func(t *testing.T, s *switchboard.Server, h *postOffice, address string) {
		p := reach(t, address, net.Dialer{})
		p.hears("220 here ESMTP\r\n")
		p.says("STARTTLS\r\n")
		p.hears("220 begin\r\n")
		p.says("\x16\x03\x01\x02\x00")
		p.endsOutput()
		if err := next(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the client went, and it ended with %v", err)
		}
	})
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.HandshakeTimeout = 50 * time.Millisecond
		config := s.TLSConfig
		s.TLSConfig = nil
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) { return len(p), c.StartTLS(config) })
		s.Accept = everyone(h)
		p := reach(t, start(t, s), net.Dialer{})
		stays(t, "without a handshake there is no timeout", func() bool { return len(h.ended) == 0 })
		p.says("begin")
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrHandshakeTimeout) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestStartTLSWhereItCannotBe(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) { return 0, nil })
		conns := accepted(s, h)
		call(t, start(t, s))
		c := next(t, conns)
		onLoop(t, c, func() {
			if err := c.StartTLS(nil); err == nil || !strings.Contains(err.Error(), "has TLS already") {
				t.Errorf("over TLS: %v", err)
			}
			c.Close()
			if err := c.StartTLS(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	})
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		config := s.TLSConfig
		s.TLSConfig = nil
		_, _, a, _, _ := joined(t, s)
		onLoop(t, a, func() {
			if err := a.StartTLS(config); err == nil || !strings.Contains(err.Error(), "joined") {
				t.Errorf("in a Pipe: %v", err)
			}
			if err := a.StartTLS(&tls.Config{}); err == nil {
				t.Error("without a certificate")
			}
		})
	})
}

// A peer that never begins TLS must not take the end of a failed handshake for one in order: it has heard something in the clear.
func TestAHandshakeThatIsNeverBegunEndsWithAReset(t *testing.T) {
	overSTARTTLS(t, func(t *testing.T, s *switchboard.Server, h *postOffice, address string) {
		c := call(t, address)
		c.hears("220 here ESMTP\r\n")
		c.says("STARTTLS\r\n")
		c.hears("220 begin\r\n")
		c.endsOutput()
		c.hearsReset()
		if err := next(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestShutdownWaitsForTheTLSThatAConnectionHasAskedFor(t *testing.T) {
	overSTARTTLS(t, func(t *testing.T, s *switchboard.Server, h *postOffice, address string) {
		c := call(t, address)
		c.hears("220 here ESMTP\r\n")
		c.says("STARTTLS\r\n")
		c.hears("220 begin\r\n")
		next(t, h.heard)
		over := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { over <- s.Shutdown(ctx) }()
		eventually(t, "Shutdown has begun", func() bool { return s.Stats().Leaving })
		c = c.secures(clientTLS())
		c.hearsEnd("")
		if err := next(t, over); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}
