package web

import (
	"context"
	"net"
	"net/http"
)

// wrapHooks puts itself between http.Server and its user's hooks. Connections that are not s's are passed on: the
// http.Server may serve a net.Listener as well.
func (s *Server) wrapHooks() {
	s.next.base, s.next.context, s.next.state = s.HTTP.BaseContext, s.HTTP.ConnContext, s.HTTP.ConnState
	s.HTTP.BaseContext, s.HTTP.ConnContext, s.HTTP.ConnState = s.baseContext, s.connContext, s.connState
}

func (s *Server) baseContext(l net.Listener) context.Context {
	ln, ours := l.(*listener)
	ours = ours && ln.server == s
	if ours {
		l = ln.known
	}
	ctx := context.Background()
	if s.next.base != nil {
		ctx = s.next.base(l)
	}
	if ours && ctx != nil {
		ln.ctx = context.WithValue(ctx, http.ServerContextKey, s.HTTP)
		close(ln.started)
	}
	return ctx
}

func (s *Server) connContext(ctx context.Context, conn net.Conn) context.Context {
	if c := s.own(conn); c != nil {
		if more := c.more.Load(); more != nil && more.ctx != nil {
			return more.ctx
		}
		return ctx
	}
	if p, ok := conn.(*idleWatch); ok && p.server == s || s.next.context == nil {
		return ctx
	}
	return s.next.context(ctx, conn)
}

func (s *Server) connState(conn net.Conn, state http.ConnState) {
	if c := s.own(conn); c != nil {
		switch state {
		case http.StateNew: // the user was told when it was accepted
			return
		case http.StateIdle:
			c.answered()
		case http.StateHijacked:
			c.hijacked()
		case http.StateClosed:
			if c.served() {
				return
			}
		}
	} else if p, ok := conn.(*idleWatch); ok && p.server == s {
		return
	}
	if s.next.state != nil {
		s.next.state(conn, state)
	}
}

// own returns the connection of s that conn is, nil if it is another one.
func (s *Server) own(conn net.Conn) *conn {
	if c := connOf(conn); c != nil && c.from.server == s {
		return c
	}
	return nil
}
