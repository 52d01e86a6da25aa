package zmtp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"
)

// CurveClient is the client side of CURVE (RFC 25, RFC 26). It proves that the client has its secret key, and
// verifies that the server has that of ServerKey.
type CurveClient struct {
	ServerKey Key // public
	SecretKey Key // the client's; the zero Key: one is made up for each connection
}

func (CurveClient) name() string { return "CURVE" }
func (CurveClient) server() bool { return false }

func (c CurveClient) check(*Options) error {
	if c.ServerKey == (Key{}) {
		return errors.New("CurveClient.ServerKey is missing: the server's public key")
	}
	return nil
}

func (c CurveClient) start(h *handshake) mechanism { return &curveClient{h: h, c: c} }

// CurveServer is the server side of CURVE. Options.Authenticate receives the client's public key. Without it, every
// client that knows the server's public key may connect.
type CurveServer struct {
	SecretKey Key
}

func (CurveServer) name() string { return "CURVE" }
func (CurveServer) server() bool { return true }

func (c CurveServer) check(*Options) error {
	if c.SecretKey == (Key{}) {
		return errors.New("CurveServer.SecretKey is missing")
	}
	return nil
}

func (c CurveServer) start(h *handshake) mechanism { return &curveServer{h: h, c: c} }

const (
	boxOverhead = box.Overhead
	helloSize   = 2 + 72 + 32 + 8 + 64 + boxOverhead
	welcomeSize = 16 + 32 + 96 + boxOverhead
	cookieSize  = 16 + 64 + boxOverhead
	vouchSize   = 16 + 64 + boxOverhead
)

// shortNonce returns the nonce of a prefix of 16 bytes and a counter.
func shortNonce(prefix string, n []byte) (nonce [24]byte) {
	copy(nonce[:16], prefix)
	copy(nonce[16:], n)
	return nonce
}

// longNonce returns the nonce of a prefix of 8 bytes and 16 random ones.
func longNonce(prefix string, n []byte) (nonce [24]byte) {
	copy(nonce[:8], prefix)
	copy(nonce[8:], n)
	return nonce
}

func random16() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

func counter(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// errCurve is the error for a box that does not open.
func errCurve(what string) error {
	return protocolErrorf("CURVE: the %s cannot be decrypted: the keys of the two sides do not belong together, or it was forged", what)
}

type curveClient struct {
	h           *handshake
	c           CurveClient
	state       int
	short, mine Key // the short-term secret key, the long-term one
	shortPublic Key
	minePublic  Key
	serverShort Key
	shared      [32]byte
}

func (m *curveClient) open() (out []byte, err error) {
	m.shortPublic, m.short = NewKeyPair()
	if m.mine = m.c.SecretKey; m.mine == (Key{}) {
		m.minePublic, m.mine = NewKeyPair()
	} else if m.minePublic, err = m.mine.Public(); err != nil {
		return nil, err
	}
	n := counter(1)
	nonce := shortNonce("CurveZMQHELLO---", n)
	sealed := box.Seal(nil, make([]byte, 64), &nonce, (*[32]byte)(&m.c.ServerKey), (*[32]byte)(&m.short))
	return appendCommand(nil, "HELLO", []byte{1, 0}, make([]byte, 72), m.shortPublic[:], n, sealed), nil
}

func (m *curveClient) take(name string, data []byte) ([]byte, error) {
	want := [...]string{"WELCOME", "READY"}[m.state]
	if name != want {
		return nil, unexpected("CURVE", name, want)
	}
	if m.state++; m.state == 2 {
		return nil, m.ready(data)
	}
	if len(data) != welcomeSize {
		return nil, protocolErrorf("a CURVE WELCOME of %d bytes, not %d", len(data), welcomeSize)
	}
	nonce := longNonce("WELCOME-", data[:16])
	plain, ok := box.Open(nil, data[16:], &nonce, (*[32]byte)(&m.c.ServerKey), (*[32]byte)(&m.short))
	if !ok {
		return nil, errCurve("WELCOME")
	}
	m.serverShort = Key(plain[:32])
	cookie := plain[32:]
	box.Precompute(&m.shared, (*[32]byte)(&m.serverShort), (*[32]byte)(&m.short))

	vouchNonce := random16()
	nonce = longNonce("VOUCH---", vouchNonce)
	vouched := append(append([]byte{}, m.shortPublic[:]...), m.c.ServerKey[:]...)
	vouch := box.Seal(nil, vouched, &nonce, (*[32]byte)(&m.serverShort), (*[32]byte)(&m.mine))
	content := append([]byte{}, m.minePublic[:]...)
	content = append(append(append(content, vouchNonce...), vouch...), m.h.properties()...)
	n := counter(2)
	nonce = shortNonce("CurveZMQINITIATE", n)
	return appendCommand(nil, "INITIATE", cookie, n, box.SealAfterPrecomputation(nil, content, &nonce, &m.shared)), nil
}

func (m *curveClient) ready(data []byte) error {
	if len(data) < 8+boxOverhead {
		return protocolErrorf("a CURVE READY of %d bytes", len(data))
	}
	nonce := shortNonce("CurveZMQREADY---", data[:8])
	plain, ok := box.OpenAfterPrecomputation(nil, data[8:], &nonce, &m.shared)
	if !ok {
		return errCurve("READY")
	}
	m.h.cipher = &cipher{shared: m.shared, sendPrefix: "CurveZMQMESSAGEC", recvPrefix: "CurveZMQMESSAGES", sendNonce: 2,
		recvNonce: binary.BigEndian.Uint64(data)}
	m.h.done = true
	return m.h.learn(plain)
}

func (m *curveClient) allowed() ([]byte, error) { return nil, nil }

type curveServer struct {
	h           *handshake
	c           CurveServer
	state       int
	short       Key // secret
	clientShort Key
	cookie      [32]byte // its key
	shared      [32]byte
	recvNonce   uint64
}

func (m *curveServer) open() ([]byte, error) { return nil, nil }

// screen implements costly. It is called by take too.
func (m *curveServer) screen(name string, data []byte) error {
	if m.state > 1 {
		return unexpected("CURVE", name, "nothing")
	}
	want := [...]string{"HELLO", "INITIATE"}[m.state]
	switch {
	case name != want:
		return unexpected("CURVE", name, want)
	case name == "HELLO" && len(data) != helloSize:
		return protocolErrorf("a CURVE HELLO of %d bytes, not %d", len(data), helloSize)
	case name == "HELLO" && (data[0] != 1 || data[1] != 0):
		return protocolErrorf("a CURVE HELLO of version %d.%d, not 1.0", data[0], data[1])
	case name == "HELLO":
		return nil
	case len(data) < cookieSize+8+boxOverhead+32+vouchSize:
		return protocolErrorf("a CURVE INITIATE of %d bytes", len(data))
	}
	nonce := longNonce("COOKIE--", data[:16])
	plain, ok := secretbox.Open(nil, data[16:cookieSize], &nonce, &m.cookie)
	if !ok || subtle.ConstantTimeCompare(plain[:32], m.clientShort[:])&subtle.ConstantTimeCompare(plain[32:], m.short[:]) == 0 {
		return errCurve("cookie of the INITIATE")
	}
	if binary.BigEndian.Uint64(data[cookieSize:]) <= m.recvNonce {
		return protocolErrorf("a CURVE INITIATE with a number that was used before")
	}
	return nil
}

func (m *curveServer) take(name string, data []byte) ([]byte, error) {
	if err := m.screen(name, data); err != nil {
		return nil, err
	}
	if m.state++; m.state == 1 {
		return m.hello(data)
	}
	return nil, m.initiate(data)
}

func (m *curveServer) hello(data []byte) ([]byte, error) {
	m.clientShort = Key(data[74:106])
	m.recvNonce = binary.BigEndian.Uint64(data[106:])
	var shared [32]byte // by the client's short-term key and our long-term one
	box.Precompute(&shared, (*[32]byte)(&m.clientShort), (*[32]byte)(&m.c.SecretKey))
	nonce := shortNonce("CurveZMQHELLO---", data[106:114])
	plain, ok := box.OpenAfterPrecomputation(nil, data[114:], &nonce, &shared)
	if !ok || subtle.ConstantTimeCompare(plain, make([]byte, 64)) == 0 {
		return nil, errCurve("HELLO")
	}
	shortPublic, short := NewKeyPair()
	m.short = short
	rand.Read(m.cookie[:])
	cookieNonce := random16()
	nonce = longNonce("COOKIE--", cookieNonce)
	content := append(append([]byte{}, m.clientShort[:]...), m.short[:]...)
	sealed := secretbox.Seal(nil, content, &nonce, &m.cookie)
	content = append(append(append([]byte{}, shortPublic[:]...), cookieNonce...), sealed...)
	welcomeNonce := random16()
	nonce = longNonce("WELCOME-", welcomeNonce)
	return appendCommand(nil, "WELCOME", welcomeNonce, box.SealAfterPrecomputation(nil, content, &nonce, &shared)), nil
}

func (m *curveServer) initiate(data []byte) error {
	n := data[cookieSize : cookieSize+8]
	m.recvNonce = binary.BigEndian.Uint64(n)
	box.Precompute(&m.shared, (*[32]byte)(&m.clientShort), (*[32]byte)(&m.short))
	nonce := shortNonce("CurveZMQINITIATE", n)
	plain, ok := box.OpenAfterPrecomputation(nil, data[cookieSize+8:], &nonce, &m.shared)
	if !ok {
		return errCurve("INITIATE")
	}
	client := Key(plain[:32])
	nonce = longNonce("VOUCH---", plain[32:48])
	vouched, ok := box.Open(nil, plain[48:32+vouchSize], &nonce, (*[32]byte)(&client), (*[32]byte)(&m.short))
	if !ok || subtle.ConstantTimeCompare(vouched[:32], m.clientShort[:]) == 0 {
		return errCurve("vouch of the INITIATE")
	}
	public, err := m.c.SecretKey.Public()
	if err != nil || subtle.ConstantTimeCompare(vouched[32:], public[:]) == 0 {
		return errCurve("server's key in the vouch")
	}
	if err := m.h.learn(plain[32+vouchSize:]); err != nil {
		return err
	}
	m.h.login = &Login{Mechanism: "CURVE", Key: client}
	return nil
}

func (m *curveServer) allowed() ([]byte, error) {
	n := counter(1)
	nonce := shortNonce("CurveZMQREADY---", n)
	m.h.cipher = &cipher{shared: m.shared, sendPrefix: "CurveZMQMESSAGES", recvPrefix: "CurveZMQMESSAGEC", sendNonce: 1, recvNonce: m.recvNonce}
	m.h.done = true
	return appendCommand(nil, "READY", n, box.SealAfterPrecomputation(nil, m.h.properties(), &nonce, &m.shared)), nil
}
