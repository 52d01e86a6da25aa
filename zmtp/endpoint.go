package zmtp

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard"
)

// split takes an endpoint apart: "tcp", "ipc" or "inproc", and the address.
func split(endpoint string) (transport, address string, err error) {
	transport, address, ok := strings.Cut(endpoint, "://")
	switch {
	case !ok:
		return "", "", fmt.Errorf("the transport is missing: tcp://HOST:PORT, ipc://PATH or inproc://NAME")
	case transport != "tcp" && transport != "ipc" && transport != "inproc":
		return "", "", fmt.Errorf("unknown transport %q: there are tcp, ipc and inproc", transport)
	case address == "":
		return "", "", fmt.Errorf("the address is missing")
	case len(address) > 255 && transport == "inproc":
		return "", "", fmt.Errorf("a name of %d bytes: at most 255", len(address))
	case transport == "tcp" && strings.Contains(address, ";"):
		return "", "", fmt.Errorf("a source address (%q) is not supported", address)
	}
	return transport, address, nil
}

// Bind makes the socket accept peers at an endpoint, and returns the endpoint for Connect and Unbind. A socket may be
// bound several times.
//
//	tcp://127.0.0.1:5555  tcp://*:5555     an address, or all addresses
//	tcp://eth0:5555                        the address of a network interface
//	tcp://127.0.0.1:0  tcp://127.0.0.1:*   the system chooses a port
//	ipc:///run/x.sock  ipc://*             a Unix socket; * chooses a path
//	ipc://@name                            a Linux abstract Unix socket
//	inproc://name                          sockets of the same Context
//
// Bind replaces the file of an ipc endpoint on which nobody listens.
func (s *Socket) Bind(endpoint string) (string, error) {
	got, err := s.bind(endpoint)
	if err != nil {
		return "", &Error{Op: "bind", Type: s.typ, Endpoint: endpoint, Err: err}
	}
	s.tell(Event{Kind: Listening, Endpoint: got})
	return got, nil
}

func (s *Socket) bind(endpoint string) (string, error) {
	transport, address, err := split(endpoint)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	closing := s.closing
	s.mu.Unlock()
	if closing {
		return "", ErrClosed
	}
	if transport == "inproc" {
		s.mu.Lock()
		s.names[address] = struct{}{}
		s.mu.Unlock()
		if err := s.ctx.bindName(s, address); err != nil {
			s.mu.Lock()
			delete(s.names, address)
			s.mu.Unlock()
			return "", err
		}
		return endpoint, nil
	}
	ln := &listener{s: s, done: make(chan struct{})}
	if transport == "tcp" {
		ln.l, err = listenTCP(address)
	} else {
		ln.l, err = listenUnix(address)
	}
	if err != nil {
		return "", err
	}
	ln.key = listenerKey(ln.l.Addr())
	ln.endpoint = transport + "://" + ln.l.Addr().String()
	if _, port, ok := strings.Cut(ln.key, "*:"); ok && transport == "tcp" {
		ln.endpoint = "tcp://0.0.0.0:" + port
	}
	c := s.ctx
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		ln.l.Close()
		return "", ErrClosed
	}
	if c.listeners == nil {
		c.listeners = map[string]*listener{}
	}
	c.listeners[ln.key] = ln
	server := c.start()
	c.mu.Unlock()
	s.mu.Lock()
	s.bound[ln.endpoint] = ln
	s.mu.Unlock()
	go func() {
		defer close(ln.done)
		err := server.Serve(ln.l)
		c.mu.Lock()
		if c.listeners[ln.key] == ln {
			delete(c.listeners, ln.key)
		}
		c.mu.Unlock()
		s.mu.Lock()
		ours := s.bound[ln.endpoint] != ln
		delete(s.bound, ln.endpoint)
		s.mu.Unlock()
		if ours || errors.Is(err, net.ErrClosed) || errors.Is(err, switchboard.ErrServerClosed) {
			s.tell(Event{Kind: Closed, Endpoint: ln.endpoint})
		} else {
			s.tell(Event{Kind: BindFailed, Endpoint: ln.endpoint, Err: err})
		}
	}()
	return ln.endpoint, nil
}

func listenTCP(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w (a port is needed: tcp://127.0.0.1:5555, or tcp://*:5555)", err)
	}
	if port == "*" {
		port = "0"
	}
	network := "tcp"
	switch {
	case host == "*":
		host, network = "0.0.0.0", "tcp4"
	case host != "" && net.ParseIP(host) == nil:
		if i, err := net.InterfaceByName(host); err == nil {
			if host, err = firstAddress(i); err != nil {
				return nil, err
			}
		}
	}
	return net.Listen(network, net.JoinHostPort(host, port))
}

func firstAddress(i *net.Interface) (string, error) {
	all, err := i.Addrs()
	if err != nil {
		return "", err
	}
	found := ""
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && (found == "" || n.IP.To4() != nil && strings.Contains(found, ":")) {
			found = n.IP.String()
		}
	}
	if found == "" {
		return "", fmt.Errorf("the interface %s has no address", i.Name)
	}
	return found, nil
}

func listenUnix(path string) (net.Listener, error) {
	if path == "*" {
		dir, err := os.MkdirTemp("", "zmtp")
		if err != nil {
			return nil, err
		}
		path = filepath.Join(dir, "socket")
	}
	l, err := net.Listen("unix", path)
	if !errors.Is(err, syscall.EADDRINUSE) || path[0] == '@' {
		return l, err
	}
	conn, refused := net.DialTimeout("unix", path, time.Second)
	if refused == nil {
		conn.Close()
	}
	if !errors.Is(refused, syscall.ECONNREFUSED) {
		return nil, err
	}
	if info, bad := os.Lstat(path); bad != nil || info.Mode()&os.ModeSocket == 0 || os.Remove(path) != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}

// close stops accepting, and returns when the address is free.
func (ln *listener) close() {
	if sc, ok := ln.l.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			raw.Control(stopListening) // the server has a copy of the descriptor, and would notice only a second later
		}
	}
	ln.l.Close()
	c := ln.s.ctx
	c.mu.Lock()
	if c.listeners[ln.key] == ln {
		delete(c.listeners, ln.key)
	}
	c.mu.Unlock()
	if ln.l.Addr().Network() == "tcp" { // the path of a Unix socket is gone already
		<-ln.done
	}
}

// Unbind stops accepting at an endpoint that Bind returned. Accepted peers stay connected.
func (s *Socket) Unbind(endpoint string) error {
	transport, address, err := split(endpoint)
	found := false
	if err == nil && transport == "inproc" {
		s.mu.Lock()
		_, found = s.names[address]
		delete(s.names, address)
		s.mu.Unlock()
		s.ctx.unbindName(s, address)
	} else if err == nil {
		s.mu.Lock()
		ln := s.bound[endpoint]
		delete(s.bound, endpoint)
		s.mu.Unlock()
		if found = ln != nil; found {
			ln.close()
		}
	}
	if err == nil && !found {
		err = errors.New("the socket is not bound to it")
	}
	if err != nil {
		return &Error{Op: "unbind", Type: s.typ, Endpoint: endpoint, Err: err}
	}
	return nil
}

// engineOr is Context.Engine with its zero value in words.
func engineOr(name string) string { return cmp.Or(name, defaultEngine) }
