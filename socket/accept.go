package socket

import "syscall"

// Accept waits for a connection on a listening socket, and returns its socket and the peer's address: accept(2). The
// new socket is in blocking mode, regardless of the mode of s, and child processes do not inherit it. Accept skips
// connections that the peer aborted in the backlog. Without a free descriptor it fails with EMFILE or ENFILE, and the
// connection stays in the backlog.
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
