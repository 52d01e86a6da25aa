package switchboard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Adopt serves a connection with h that another library has made or accepted, on the quietest loop. nc must have a
// descriptor, as a *net.TCPConn or *net.UnixConn has. Adopt takes nc over: when it returns without an error nc is closed,
// and the connection lives on. ahead is what was read from nc and is still to be handled: h is offered it first. Adopt
// does not keep it.
//
// With a config the connection speaks TLS as a client from now on, as that of DialTLS does: what a proxy has connected.
// Then ahead must be empty, and config must say whom to verify.
//
// The connection counts as a dialled one, and h is told like that of Dial: Opened, if it is an Opener, and then its input.
// Any goroutine may call it.
func (s *Server) Adopt(nc net.Conn, ahead []byte, config *tls.Config, h Handler) (*Conn, error) {
	if h == nil {
		return nil, errors.New("switchboard: adopt: no handler")
	}
	if _, err := s.run(); err != nil {
		return nil, err
	}
	if config != nil {
		switch {
		case len(ahead) > 0:
			return nil, errors.New("switchboard: adopt: a server does not speak before its client in TLS")
		case config.ServerName == "" && !config.InsecureSkipVerify:
			return nil, errors.New("switchboard: adopt: Config.ServerName must say whom to expect")
		case config.Renegotiation != tls.RenegotiateNever:
			return nil, errors.New("switchboard: adopt: Config.Renegotiation must be RenegotiateNever")
		}
	}
	remote := nc.RemoteAddr()
	fd, err := copyOfConn(nc)
	if err != nil {
		return nil, err
	}
	l := s.quietest(nil)
	if remote.Network() == "tcp" {
		l.setOptions(fd)
	}
	c := newConn(l, fd, rawio.Peer{})
	c.handler = h
	c.flags |= dialled
	c.out |= blocked
	d := &dialing{ctx: context.Background(), address: remote.String(), known: true, adopted: true}
	d.ahead = append(d.ahead, ahead...)
	more := &extra{dial: d, untaken: -1}
	more.setRemote(remote)
	c.more.Store(more)
	if config != nil {
		c.secure(config, true)
	}
	if !l.adopt(c) {
		l.kernel.Close(fd)
		s.departed()
		return nil, ErrServerClosed
	}
	nc.Close()
	return c, nil
}

// copyOfConn returns a descriptor of its own for nc's socket.
func copyOfConn(nc net.Conn) (fd int, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("switchboard: adopt: a %T has no descriptor to wait on", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var inner error
	if err := raw.Control(func(of uintptr) { fd, inner = rawio.Dup(int(of)) }); err != nil {
		return -1, err
	}
	if inner != nil {
		return -1, fmt.Errorf("switchboard: adopt %v: %w", nc.RemoteAddr(), inner)
	}
	return fd, nil
}
