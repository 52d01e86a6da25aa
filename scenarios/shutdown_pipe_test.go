package scenarios

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// inBackground begins Shutdown, and returns a channel that gets a value when it is over.
func inBackground(t *testing.T, s *switchboard.Server) chan bool {
	done := make(chan bool, 1)
	go func() {
		shutdown(t, s)
		done <- true
	}()
	return done
}

// stopping waits until Shutdown of s has begun.
func stopping(t *testing.T, s *switchboard.Server) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	eventually(t, "the server stops", func() bool {
		_, err := s.Dial(over, "127.0.0.1:1", echo)
		return errors.Is(err, switchboard.ErrServerClosed)
	})
}

// Clients whose target has not answered when Shutdown begins get their target, the next one if the first fails, and the server
// ends when they have.
func TestShutdownLetsDialPipeGoOn(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		const clients = 12
		release := make(chan bool)
		fails := foreign(t, nil, func(net.Conn) { <-release })
		target := foreign(t, nil, func(c net.Conn) {
			<-release
			over := tls.Server(c, serverTLS())
			io.Copy(over, over)
			over.CloseWrite()
		})
		dialling := make(chan bool, clients)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			dialling <- true
			return nil, c.DialPipe(context.Background(), fails, clientTLS(), closedFunc(func(error) {
				if err := c.DialPipe(context.Background(), target, clientTLS(), nil); err != nil {
					t.Errorf("the second target: %v", err)
				}
			}))
		}
		address := start(t, s)
		var peers []peer
		for range clients {
			p := call(t, address)
			p.says("hello")
			peers = append(peers, p)
			next(t, dialling)
		}
		done := inBackground(t, s)
		stopping(t, s)
		stays(t, "it waits for the targets", func() bool { return len(done) == 0 && s.Stats().Active == 2*clients })
		close(release)
		for _, p := range peers {
			p.hears("hello")
			p.says("and more")
			p.hears("and more")
			p.endsOutput()
			p.hearsEnd("")
		}
		next(t, done)
	})
}

// Nothing moves on either side of a Pipe while the target thinks, and Shutdown must not take that for the end.
func TestShutdownWaitsForThePeersOfAPipe(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		client, target, _, _, ended := joined(t, s)
		client.says("a question")
		target.hears("a question")
		done := inBackground(t, s)
		stopping(t, s)
		stays(t, "the two stay", func() bool { return len(done) == 0 && len(ended) == 0 })
		target.says("an answer")
		client.hears("an answer")
		client.endsOutput()
		target.hearsEnd("")
		target.says("the last word")
		target.endsOutput()
		client.hearsEnd("the last word")
		for range 2 {
			if err := next(t, ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
		next(t, done)
	})
}

// A client whose first bytes of a handshake have come, and were not read when Shutdown began, is not reset.
func TestShutdownCompletesAHandshakeThatHasCome(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops = 1
		conns := accepted(s, echo)
		address := start(t, s)
		busy := call(t, address)
		release := make(chan bool)
		next(t, conns).Do(func() { <-release })
		shaken := make(chan error, 8)
		var begun []chan bool
		for range cap(shaken) {
			wrote := make(chan bool, 8)
			begun = append(begun, wrote)
			c := tls.Client(&tellsWrites{reach(t, address, net.Dialer{}).Conn, wrote}, clientTLS())
			go func() {
				defer c.Close()
				err := c.Handshake()
				if err == nil {
					_, err = io.Copy(io.Discard, c)
				}
				shaken <- err
			}()
		}
		for _, wrote := range begun {
			next(t, wrote)
		}
		done := inBackground(t, s)
		stopping(t, s)
		close(release)
		for range cap(shaken) {
			if err := next(t, shaken); err != nil {
				t.Errorf("a client heard %v", err)
			}
		}
		busy.hearsEnd("")
		busy.Close()
		next(t, done)
	})
}

// tellsWrites passes on when something was written.
type tellsWrites struct {
	net.Conn
	wrote chan bool
}

func (c *tellsWrites) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wrote <- true
	return n, err
}
