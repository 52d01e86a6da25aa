package scenarios

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// A client that sends one byte after another without an end is sent away, whatever its IdleTimeout.
func TestMessageTimeoutEndsADripOfBytes(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.MessageTimeout, s.IdleTimeout, s.LingerTimeout = 200*time.Millisecond, time.Minute, 300*time.Millisecond
		ended := make(chan error, 1)
		s.Handler = &framed{switchboard.Messages(frame.Lines(0), func(c *switchboard.Conn, m []byte) error {
			return c.WriteMessage(frame.Lines(0), m)
		}), ended}
		p := call(t, start(t, s))
		p.says("whole\n")
		p.hears("whole\n")
		began := time.Now()
		drip(p.Conn, ended)
		err := next(t, ended)
		if !errors.Is(err, switchboard.ErrMessageTimeout) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took < s.MessageTimeout-2*time.Millisecond {
			t.Errorf("ended after %v", took)
		}
		if n := s.Stats().Ends.Idle; n != 1 {
			t.Errorf("counted %d", n)
		}
	})
}

// drip sends a byte every few milliseconds until the other side has ended.
func drip(c net.Conn, ended chan error) {
	for len(ended) == 0 {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The time is that of one message: many messages in turn, each in two parts, may take longer, and silence between messages
// any time.
func TestMessageTimeoutBeginsAnewWithEachMessage(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		whileCalm(t, 200*time.Millisecond, func(span time.Duration, pace *pace) error {
			s := &switchboard.Server{Engine: s.Engine, Loops: 2, Logger: s.Logger, TLSConfig: s.TLSConfig, MessageTimeout: span}
			ended := make(chan error, 1)
			s.Handler = &framed{switchboard.Messages(frame.Lines(0), func(c *switchboard.Conn, m []byte) error {
				return c.WriteMessage(frame.Lines(0), m)
			}), ended}
			p := call(t, start(t, s))
			pace.step()
			p.says("half")
			for began := time.Now(); time.Since(began) < span*5/4; time.Sleep(span / 200) {
				if err := attempt(p, " a line\nhalf", "half a line\n"); err != nil {
					return err
				}
				pace.step()
			}
			if err := attempt(p, "\n", "half\n"); err != nil {
				return err
			}
			if len(ended) > 0 {
				return fmt.Errorf("ended with %w", <-ended)
			}
			return nil
		})
	})
}

// While the handler has paused the connection, or is held up by a full queue, the client cannot complete its message.
func TestMessageTimeoutDoesNotRunWhileTheConnectionIsPaused(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.MessageTimeout = 100 * time.Millisecond
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			if len(p) < len("message") {
				return 0, nil
			}
			return c.Write(p)
		})
		conns := accepted(s, h)
		p := call(t, start(t, s))
		c := next(t, conns)
		onLoop(t, c, c.Pause)
		p.says("mess")
		eventually(t, "time has passed", func() bool { return c.Age() > 4*s.MessageTimeout })
		if len(h.ended) > 0 {
			t.Fatalf("ended with %v", <-h.ended)
		}
		onLoop(t, c, func() { c.Resume() })
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrMessageTimeout) {
			t.Errorf("ended with %v", err)
		}
	})
}

// Over TLS a record that is not complete is not offered to anybody, and is limited as well.
func TestMessageTimeoutEndsADripOfOneRecord(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.MessageTimeout, s.LingerTimeout = 100*time.Millisecond, 300*time.Millisecond
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("hello")
		p.hears("hello")
		wire := p.Conn.(interface{ NetConn() net.Conn }).NetConn()
		wire.Write([]byte{23, 3, 3, 0x20, 0}) // 8 KiB are to follow
		drip(wire, h.ended)
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrMessageTimeout) {
			t.Errorf("ended with %v", err)
		}
	})
}
