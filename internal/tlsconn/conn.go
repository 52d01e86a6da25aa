package tlsconn

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime/debug"
	"sync/atomic"
)

// Addrs tells the callbacks of a tls.Config which connection they are called for.
type Addrs interface {
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// A Conn is one TLS connection.
type Conn struct {
	tls   *tls.Conn
	addrs Addrs
	hand  *handshake  // nil before the first step, and once the owner knows the end
	up    atomic.Bool // the handshake has succeeded

	in      []byte // received and not yet read by crypto/tls
	out     []byte // written by crypto/tls and not yet taken
	framing framing
	client  bool
	spoilt  bool
}

// Server returns the server's side of a connection. It does nothing before the first Step. The config must not be
// changed afterwards.
func Server(config *tls.Config, addrs Addrs) *Conn {
	c := &Conn{addrs: addrs}
	c.tls = tls.Server((*transport)(c), config)
	return c
}

// Client returns the client's side of a connection, whose first Step needs no input. As with tls.Client, the config must
// have a ServerName or InsecureSkipVerify.
func Client(config *tls.Config, addrs Addrs) *Conn {
	c := &Conn{addrs: addrs, client: true}
	c.tls = tls.Client((*transport)(c), config)
	return c
}

// State returns what the handshake agreed on, or nil as long as it has not succeeded. Any goroutine may call it.
func (c *Conn) State() *tls.ConnectionState {
	if !c.up.Load() {
		return nil
	}
	state := c.tls.ConnectionState()
	return &state
}

// Spoilt reports whether TLS has failed after the handshake. Nothing can be encrypted then, not even a close_notify: the
// peer must not take for whole what may not be.
func (c *Conn) Spoilt() bool { return c.spoilt }

// A PanicError is the panic of a callback of the tls.Config, or of a ClientSessionCache.
type PanicError struct {
	Value any    // nil if the callback called runtime.Goexit
	Stack []byte // of the goroutine, as debug.Stack returns it
}

// Error implements error.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return "tls: a callback called runtime.Goexit"
	}
	return fmt.Sprintf("tls: a callback panicked: %v", e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guard makes an error of a panic. It must be deferred.
func (c *Conn) guard(err *error) {
	if v := recover(); v != nil {
		c.spoilt = true
		*err = &PanicError{v, debug.Stack()}
	}
}
