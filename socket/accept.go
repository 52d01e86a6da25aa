package socket

import "syscall"

// Accept waits for a connection to a listening socket and returns its socket and the peer's address: accept(2).
// The new socket is in blocking mode, whatever mode s is in, and is not inherited by child processes. A connection
// that the peer gave up while it waited in the backlog is passed over. When there is no descriptor left for it (EMFILE,
// ENFILE), a connection goes on waiting in the backlog.
func (s *Socket) Accept() (*Socket, Addr, error) {
	var (
		fd   int
		peer Addr
	)
	c := newCall(func(_ *call, l int) (err error) {
		for {
			fd, peer, err = sysAccept(l)
			if err != syscall.ECONNABORTED {
				return err
			}
		}
	})
	defer c.free()
	if err := s.do(reading, c, s.Timeout()); err != nil {
		return nil, Addr{}, s.fail("accept", err)
	}
	conn := adopt(fd, s.family, s.typ, s.proto)
	conn.name = peer
	return conn, peer, nil
}
