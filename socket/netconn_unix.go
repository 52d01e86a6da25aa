//go:build unix

package socket

import (
	"net"
	"os"
)

func (s *Socket) netConn() (net.Conn, error) {
	f, err := s.dupFile()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileConn(f)
}

func (s *Socket) netListener() (net.Listener, error) {
	f, err := s.dupFile()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

func (s *Socket) dupFile() (f *os.File, err error) {
	err = s.use(func(old int) error {
		fd, err := sysDup(old)
		if err == nil {
			f = os.NewFile(uintptr(fd), "socket")
		}
		return err
	})
	return f, err
}
