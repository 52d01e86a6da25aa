package classic

import "github.com/switchboard-go/switchboard/socket"

// The blocking server serves one client at a time on each of its addresses. The others have connected, but wait in the
// listening socket's backlog: the kernel has taken them, accept has not.
func (s *Server) blocking() error {
	return s.onEachListener(func(l *socket.Socket) error {
		for {
			c, err := s.accept(l)
			if err != nil {
				return err
			}
			s.converse(c)
		}
	})
}
