package classic

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// converse talks with one client from its welcome to its farewell, and waits wherever the client lets it wait. It does
// not read while it waits to send, so nothing piles up for a client that is slow.
func (s *Server) converse(c *client) {
	var err error
	if s.Service.Speech != nil {
		err = s.speak(c, s.Service.Speech())
	} else {
		err = s.answer(c)
	}
	s.farewell(c, err)
	s.giveRoom()
}

// answer replies to whatever the client sends, until it has ended its input.
func (s *Server) answer(c *client) error {
	stop := context.AfterFunc(s.drain, func() {
		c.SetReadDeadline(s.quietDeadline())
		c.SetWriteDeadline(s.cutoff)
	})
	defer stop()
	buf := make([]byte, pieceSize)
	for {
		n, err := s.receive(c, buf)
		if err != nil {
			return err
		}
		if s.Service.Answer == nil {
			continue
		}
		if err := s.send(c, s.Service.Answer(buf[:n])); err != nil {
			return err
		}
	}
}

// speak sends a speech to its end, or for as long as the client takes it. What the client sends meanwhile is thrown
// away by a goroutine: left unread, it would block a client that sends first and reads later, and it would make the
// close at the end a reset, which can overtake the last words.
func (s *Server) speak(c *client, speech io.Reader) error {
	stop := context.AfterFunc(s.drain, func() { c.SetWriteDeadline(s.cutoff) })
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, pieceSize)
		for {
			n, err := c.Recv(buf)
			c.received += int64(n)
			if err != nil {
				return
			}
		}
	}()
	err := s.recite(c, speech)
	if err == nil && c.Shutdown(socket.SHUT_WR) == nil {
		s.linger(ended)
	}
	c.SetReadDeadline(time.Now())
	<-ended
	return err
}

// recite sends a speech piece by piece. A server that drains still says one piece, which is all of a short speech.
func (s *Server) recite(c *client, speech io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := speech.Read(buf)
		if err := s.send(c, buf[:n]); err != nil {
			return err
		}
		if err != nil || s.draining() {
			return nil
		}
	}
}

// linger waits for a client that has been told everything to end its side.
func (s *Server) linger(ended <-chan struct{}) {
	timeout := time.NewTimer(lingerLimit)
	defer timeout.Stop()
	select {
	case <-ended:
		return
	case <-timeout.C:
		return
	case <-s.drain.Done():
	}
	timeout.Reset(quietPeriod)
	select {
	case <-ended:
	case <-timeout.C:
	}
}

// receive waits for the client's next bytes: for IdleTimeout, or when the server drains for the quiet period. The end
// of the latter is an orderly end.
func (s *Server) receive(c *client, buf []byte) (int, error) {
	if s.IdleTimeout > 0 {
		c.SetReadDeadline(time.Now().Add(s.IdleTimeout))
	}
	if s.draining() { // a drain that begins later sets the deadline again
		c.SetReadDeadline(s.quietDeadline())
	}
	n, err := c.Recv(buf)
	c.received += int64(n)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	switch {
	case !s.draining():
		return 0, errIdle
	case time.Now().Before(s.cutoff):
		return 0, io.EOF
	}
	return 0, errCutOff
}

// send waits until the kernel has taken all of p, and at most IdleTimeout for each part of it that it takes.
func (s *Server) send(c *client, p []byte) error {
	for len(p) > 0 {
		if s.IdleTimeout > 0 {
			c.SetWriteDeadline(time.Now().Add(s.IdleTimeout))
		}
		if s.draining() {
			c.SetWriteDeadline(s.cutoff)
		}
		n, err := c.Send(p)
		c.sent += int64(n)
		p = p[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if s.draining() {
				return errCutOff
			}
			return errStalled
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// quietDeadline ends the wait for a client that may have more to say while the server drains.
func (s *Server) quietDeadline() time.Time {
	if quiet := time.Now().Add(quietPeriod); quiet.Before(s.cutoff) {
		return quiet
	}
	return s.cutoff
}
