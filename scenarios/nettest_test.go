package scenarios

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/switchboard-go/switchboard"
)

// The connection of a blocking handler is a net.Conn as the standard library's own tests want one.
func TestBlockingConnectionPassesNettest(t *testing.T) {
	for _, engine := range engines() {
		for _, secured := range []bool{false, true} {
			name := engine
			if secured {
				name += " over TLS"
			}
			t.Run(name, func(t *testing.T) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) { return pair(t, engine, secured) })
			})
		}
	}
}

// pair returns the two ends of a connection: a blocking handler's and a client's.
func pair(t *testing.T, engine string, secured bool) (c1, c2 net.Conn, stop func(), err error) {
	ours, over := make(chan net.Conn, 1), make(chan struct{})
	h := switchboard.Blocking(func(conn net.Conn, _ *bufio.Reader) error {
		ours <- conn
		<-over
		return net.ErrClosed
	})
	h.AtOpen = true
	s := &switchboard.Server{Engine: engine, Loops: 1, SlowCall: -1, Accept: everyone(h)}
	if secured {
		s.TLSConfig = serverTLS()
	}
	address, served := serveAt(t, s, "127.0.0.1:0")
	if secured {
		c2, err = tls.Dial("tcp", address, clientTLS())
	} else {
		c2, err = net.Dial("tcp", address)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	c1 = next(t, ours)
	stop = func() {
		c1.Close()
		c2.Close()
		close(over)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		<-served
	}
	return c1, c2, stop, nil
}
