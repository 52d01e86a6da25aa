package zmtp

import (
	"errors"
)

// A Security is a security mechanism: PlainClient, PlainServer, CurveClient or CurveServer.
type Security interface {
	name() string           // in the greeting
	server() bool           // as-server in the greeting
	check(o *Options) error // tells what is wrong with it
	start(h *handshake) mechanism
}

// A mechanism is one side of one handshake. Its methods return commands to send. It sets handshake.login when the peer has
// proven what it claims and is to be authenticated, which is followed by a call of allowed; and handshake.done when the
// connection is ready for messages.
type mechanism interface {
	open() ([]byte, error)
	take(name string, data []byte) ([]byte, error)
	allowed() ([]byte, error)
}

// unexpected is the error for a command out of turn.
func unexpected(mechanism, name string, want string) error {
	return protocolErrorf("the command %q came in a %s handshake where %s is due", name, mechanism, want)
}

// null is the mechanism NULL (RFC 37, "The NULL Security Mechanism").
type null struct{}

func (null) name() string         { return "NULL" }
func (null) server() bool         { return false }
func (null) check(*Options) error { return nil }

func (null) start(h *handshake) mechanism { return &nullHandshake{h: h} }

type nullHandshake struct {
	h              *handshake
	sent, received bool
}

func (m *nullHandshake) open() ([]byte, error) {
	if m.h.accepted && m.h.p.s.opt.Authenticate != nil {
		m.h.login = &Login{Mechanism: "NULL"}
		return nil, nil
	}
	return m.allowed()
}

func (m *nullHandshake) allowed() ([]byte, error) {
	m.sent = true
	m.h.done = m.received
	return appendCommand(nil, "READY", m.h.properties()), nil
}

func (m *nullHandshake) take(name string, data []byte) ([]byte, error) {
	if name != "READY" || m.received {
		return nil, unexpected("NULL", name, "one READY")
	}
	m.received = true
	m.h.done = m.sent
	return nil, m.h.learn(data)
}

// PlainClient is the client side of PLAIN (RFC 24): a user name and a password, in clear text.
type PlainClient struct {
	Username, Password string // at most 255 bytes each
}

func (PlainClient) name() string { return "PLAIN" }
func (PlainClient) server() bool { return false }

func (c PlainClient) check(*Options) error {
	if len(c.Username) > 255 || len(c.Password) > 255 {
		return errors.New("PlainClient: the user's name and password have at most 255 bytes each")
	}
	return nil
}

func (c PlainClient) start(h *handshake) mechanism { return &plainClient{h: h, c: c} }

type plainClient struct {
	h     *handshake
	c     PlainClient
	state int // commands received
}

func (m *plainClient) open() ([]byte, error) {
	return appendCommand(nil, "HELLO", []byte{byte(len(m.c.Username))}, []byte(m.c.Username),
		[]byte{byte(len(m.c.Password))}, []byte(m.c.Password)), nil
}

func (m *plainClient) take(name string, data []byte) ([]byte, error) {
	want := [...]string{"WELCOME", "READY"}[m.state]
	if name != want {
		return nil, unexpected("PLAIN", name, want)
	}
	if m.state++; m.state == 1 {
		if len(data) > 0 {
			return nil, protocolErrorf("a PLAIN WELCOME with %d bytes too many", len(data))
		}
		return appendCommand(nil, "INITIATE", m.h.properties()), nil
	}
	m.h.done = true
	return nil, m.h.learn(data)
}

func (m *plainClient) allowed() ([]byte, error) { return nil, nil }

// PlainServer is the server side of PLAIN. Options.Authenticate checks user names and passwords.
type PlainServer struct{}

func (PlainServer) name() string { return "PLAIN" }
func (PlainServer) server() bool { return true }

func (PlainServer) check(o *Options) error {
	if o.Authenticate == nil {
		return errors.New("PlainServer needs Options.Authenticate to check passwords")
	}
	return nil
}

func (PlainServer) start(h *handshake) mechanism { return &plainServer{h: h} }

type plainServer struct {
	h     *handshake
	state int
}

func (m *plainServer) open() ([]byte, error) { return nil, nil }

func (m *plainServer) take(name string, data []byte) ([]byte, error) {
	want := [...]string{"HELLO", "INITIATE"}[m.state]
	if name != want {
		return nil, unexpected("PLAIN", name, want)
	}
	if m.state++; m.state == 1 {
		username, rest, ok := shortString(data)
		password, rest, ok2 := shortString(rest)
		if !ok || !ok2 || len(rest) > 0 {
			return nil, protocolErrorf("a PLAIN HELLO that is not a name and a password")
		}
		m.h.login = &Login{Mechanism: "PLAIN", Username: username, Password: password}
		return nil, nil
	}
	if err := m.h.learn(data); err != nil {
		return nil, err
	}
	m.h.done = true
	return appendCommand(nil, "READY", m.h.properties()), nil
}

func (m *plainServer) allowed() ([]byte, error) { return appendCommand(nil, "WELCOME"), nil }

// shortString reads a string behind one octet of length.
func shortString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	return string(b[1 : 1+b[0]]), b[1+b[0]:], true
}
