package zmtp

import (
	"errors"
	"strings"
	"time"
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

// A Login is a peer that Options.Authenticate decides about.
type Login struct {
	Mechanism  string // "NULL", "PLAIN" or "CURVE"
	Endpoint   string // that the peer connected to
	RemoteAddr string
	Identity   string // of the peer, if it is known by now

	Username, Password string // of PLAIN
	Key                Key    // the client's public key, of CURVE
}

// longestCommand is the size of the longest command that is taken in a handshake.
const longestCommand = 64 << 10

// A handshake is a connection's from its greeting to its first message.
type handshake struct {
	p        *peer
	accepted bool
	mech     mechanism
	timer    *time.Timer // of Options.HandshakeTimeout
	minor    byte        // of the version that both speak

	login *Login // to be authenticated
	asked bool
	done  bool

	typ      string // as the peer sent it
	identity string
	metadata map[string]string
	user     string  // what Authenticate returned
	cipher   *cipher // of CURVE
}

// properties returns what is told to the peer.
func (h *handshake) properties() []byte {
	s := h.p.s
	b := appendProperty(nil, "Socket-Type", []byte(s.typ.String()))
	if traits[s.typ].names {
		identity := s.opt.Identity
		b = appendProperty(b, "Identity", []byte(identity))
	}
	for name, value := range s.opt.Metadata {
		b = appendProperty(b, name, []byte(value))
	}
	return b
}

// learn takes what the peer tells of itself, and refuses a peer that has no part in this socket's pattern.
func (h *handshake) learn(metadata []byte) error {
	all, err := parseProperties(metadata)
	if err != nil {
		return err
	}
	for _, property := range all {
		switch strings.ToLower(property.name) {
		case "socket-type":
			h.typ = string(property.value)
		case "identity":
			if len(property.value) > 255 || len(property.value) > 0 && property.value[0] == 0 {
				return protocolErrorf("the peer's identity is %s: at most 255 bytes, the first not zero", excerpt(property.value))
			}
			h.identity = string(property.value)
		default:
			if strings.HasPrefix(strings.ToLower(property.name), "x-") {
				if h.metadata == nil {
					h.metadata = map[string]string{}
				}
				h.metadata[property.name] = string(property.value)
			}
		}
	}
	if h.typ == "" {
		return protocolErrorf("the peer does not tell its socket type")
	}
	if t := h.p.s.typ; !t.accepts(h.typ) {
		return protocolErrorf("a %s cannot talk to a %v", h.typ, t)
	}
	return nil
}

// refuse returns the ERROR command for a reason.
func refuse(reason string) []byte {
	reason = reason[:min(len(reason), 255)]
	return appendCommand(nil, "ERROR", []byte{byte(len(reason))}, []byte(reason))
}

// refused reads an ERROR command.
func refused(data []byte) error {
	if len(data) == 0 || int(data[0]) > len(data)-1 {
		return protocolErrorf("an ERROR command that is cut off")
	}
	return &RefusedError{Reason: strings.ToValidUTF8(string(data[1:1+int(data[0])]), "?")}
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
	h           *handshake
	sent, heard bool
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
	m.h.done = m.heard
	return appendCommand(nil, "READY", m.h.properties()), nil
}

func (m *nullHandshake) take(name string, data []byte) ([]byte, error) {
	if name != "READY" || m.heard {
		return nil, unexpected("NULL", name, "one READY")
	}
	m.heard = true
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
