package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/switchboard-go/switchboard"
)

// What a parked connection says of itself to another process.
const (
	movedKind    = "switchboard/web"
	movedVersion = 1
)

var errServing = errors.New("web: net/http serves the connection")

// Move implements switchboard.Mover. Connections that are parked move. Others stay, and their next answer is the last: it says
// Connection: close.
func (h connHandler) Move(sc *switchboard.Conn) (st switchboard.HandlerState, err error) {
	c, ok := sc.Value().(*conn)
	if !ok {
		return st, errServing
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != parked || c.s != nil || c.late || c.left {
		return st, errServing
	}
	again := byte(0)
	if c.again {
		again = 1
	}
	return switchboard.HandlerState{Kind: movedKind, Version: movedVersion, Data: []byte{again}}, nil
}

// MovesEarly implements switchboard.EarlyMover: connections that wait for a request may go ahead. Until they are another process's,
// only their end can change them.
func (h connHandler) MovesEarly(sc *switchboard.Conn) bool {
	c, ok := sc.Value().(*conn)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == parked && !c.begun && sc.Buffered() == 0
}

// Takeover receives the listeners and the parked connections of the process at the other end of from, whose Server's Loops are
// in switchboard.Server.Handover, and serves them as Serve does. It returns when they are here. Loops.Moved, if it is set,
// makes the handlers of what is not HTTP, such as WebSockets. See switchboard.Server.Takeover.
func (s *Server) Takeover(ctx context.Context, from *net.UnixConn) (handed switchboard.Handed, err error) {
	if err := s.begin(nil); err != nil {
		return handed, err
	}
	others := s.Loops.Moved
	s.Loops.Moved = func(sc *switchboard.Conn, st switchboard.HandlerState) (switchboard.Handler, error) {
		switch {
		case st.Kind == movedKind:
			return s.moved(sc, st)
		case others == nil:
			return nil, fmt.Errorf("web: %q came over, and Loops.Moved is nil", st.Kind)
		}
		return others(sc, st)
	}
	here, over := make(chan struct{}), make(chan error, 1)
	go func() {
		err := s.serve(addressOnly{&net.TCPAddr{}}, func() (err error) {
			if handed, err = s.Loops.Takeover(ctx, from); err != nil {
				return err
			}
			close(here)
			<-s.Loops.Stopped()
			return switchboard.ErrServerClosed
		})
		over <- err
	}()
	select {
	case <-here:
		return handed, nil
	case err := <-over:
		return handed, err
	}
}

// moved makes a parked connection of what Move said.
func (s *Server) moved(sc *switchboard.Conn, st switchboard.HandlerState) (switchboard.Handler, error) {
	if st.Version != movedVersion || len(st.Data) != 1 || st.Data[0] > 1 {
		return nil, fmt.Errorf("web: a connection of version %d came over, this is version %d", st.Version, movedVersion)
	}
	h, err := s.acceptHTTP(sc)
	if err != nil || st.Data[0] == 0 {
		return h, err
	}
	c := sc.Value().(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.again, c.begun = true, false
	c.at = time.Since(epoch)
	if d := s.idleTimeout(); d > 0 {
		c.expireAfter(d)
	} else {
		c.stopTimer()
	}
	return h, nil
}

// idleTimeout is http.Server's rule; 0 means no timeout.
func (s *Server) idleTimeout() time.Duration {
	return max(0, cmp.Or(s.HTTP.IdleTimeout, s.HTTP.ReadTimeout))
}
