package classic

import "github.com/switchboard-go/switchboard/socket"

// The goroutines server gives each client a goroutine of its own. The code is that of the blocking server, and so is
// its simplicity: a conversation reads from top to bottom. Each client costs a goroutine and a buffer, idle or not.
func (s *Server) goroutines() error {
	return s.onEachListener(func(l *socket.Socket) error {
		for {
			c, err := s.accept(l)
			if err != nil {
				return err
			}
			s.clients.Go(func() { s.converse(c) })
		}
	})
}
