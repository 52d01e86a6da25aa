package classic

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// A client is one connection, in any mode.
type client struct {
	*socket.Socket
	peer     socket.Addr
	since    time.Time
	received int64 // bytes
	sent     int64
}

var (
	errIdle    = errors.New("idle timeout")
	errStalled = errors.New("takes no data, idle timeout")
	errCutOff  = errors.New("cut off at the end of the grace period")
)

// welcome makes a client of a connection just accepted.
func (s *Server) welcome(conn *socket.Socket, peer socket.Addr) *client {
	if conn.Family() != socket.AF_UNIX {
		conn.SetNoDelay(true)
		if s.KeepAlive > 0 {
			conn.SetKeepAlive(net.KeepAliveConfig{
				Enable: true, Idle: s.KeepAlive, Interval: s.KeepAlive, Count: keepAliveProbes,
			})
		}
	}
	present := s.present.Add(1)
	if !s.Quiet {
		s.Log.Info("connected", "peer", peer.String(), "clients", present)
	}
	return &client{Socket: conn, peer: peer, since: time.Now()}
}

// farewell closes a client's connection. err says why, nil or io.EOF after an orderly end.
func (s *Server) farewell(c *client, err error) {
	if err == errStalled || err == errCutOff {
		c.SetLinger(0) // a reset, so that the client does not take what it got for the whole
	}
	c.Close()
	s.served.Add(1)
	s.received.Add(c.received)
	s.sent.Add(c.sent)
	present := s.present.Add(-1)
	if !s.Quiet {
		about := []any{"peer", c.peer.String(), "clients", present, "received", c.received, "sent", c.sent,
			"lasted", time.Since(c.since).Round(time.Microsecond)}
		if err != nil && !errors.Is(err, io.EOF) {
			about = append(about, "reason", err)
		}
		s.Log.Info("disconnected", about...)
	}
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
