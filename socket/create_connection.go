package socket

import (
	"context"
	"net"
	"time"
)

// ConnectOptions change what CreateConnection does. The zero value and nil are the usual connection.
type ConnectOptions struct {
	// Timeout bounds the whole of resolving and connecting; 0 leaves that to ctx. The socket it returns has none.
	Timeout time.Duration

	// Source is the address to connect from; port 0 lets the system choose. The zero Addr leaves all to the system.
	Source Addr

	// Resolver looks names up; nil is net.DefaultResolver.
	Resolver *net.Resolver
}

// CreateConnection connects a stream socket.
func CreateConnection(ctx context.Context, address string, options *ConnectOptions) (*Socket, error) {
	a, err := resolveOne(address)
	if err != nil {
		return nil, failed("connect", address, err)
	}
	s, err := New(a.Family(), SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	if err := s.Connect(a); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
