package simkernel

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/internal/tlstest"
)

// A Session is TLS as a peer speaks it. It is crypto/tls on a goroutine of its own, which runs only while the peer waits for
// it: so it does the same in every run, but for the values of bytes that look like chance.
type Session struct {
	// Updates has the peer change its keys before every record, and ask the program to change its own.
	Updates bool

	// Floods has it ask for as many as crypto/tls bears, and the peer must not read the answers.
	Floods bool

	conn     *tls.Conn
	client   bool
	in, out  []byte
	plain    []byte
	resume   chan struct{}
	parked   chan struct{}
	begun    bool
	stopped  bool
	up       bool  // the handshake is done
	over     bool  // the goroutine has ended
	err      error // why
	notified bool  // the other side has said that nothing more comes
	said     bool  // and this one
	rogue    *tlstest.Rogue
	asked    int  // for updates
	rogues   bool // records are the rogue's
}

// Client returns the client's side of a connection, Server the server's.
func Client(version uint16) *Session {
	s := newSession(true)
	s.conn = tls.Client(sessionConn{s}, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: s.rogue, Time: aTime, MinVersion: version, MaxVersion: version})
	return s
}

// Server returns the server's side of one.
func Server(version uint16) *Session {
	s := newSession(false)
	s.conn = tls.Server(sessionConn{s}, &tls.Config{Certificates: []tls.Certificate{Certificate()}, KeyLogWriter: s.rogue, Time: aTime,
		MinVersion: version, MaxVersion: version, SessionTicketsDisabled: true}) // a ticket would be a record that the rogue does not count
	return s
}

func newSession(client bool) *Session {
	return &Session{client: client, resume: make(chan struct{}), parked: make(chan struct{}), rogue: new(tlstest.Rogue)}
}

// aTime is the time of all certificates.
func aTime() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// Certificate is a server's. All that it signs has the same length.
var Certificate = sync.OnceValue(func() tls.Certificate {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: aTime().AddDate(-1, 0, 0), NotAfter: aTime().AddDate(1, 0, 0), DNSNames: []string{"simulated"}}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// begin begins the handshake.
func (s *Session) begin() {
	s.begun = true
	go s.run()
	<-s.parked
}

// run is the goroutine's.
func (s *Session) run() {
	defer close(s.parked)
	err := s.conn.Handshake()
	s.up = err == nil
	if s.up && s.Updates {
		s.rogues = s.conn.ConnectionState().Version == tls.VersionTLS13 &&
			s.rogue.Learn(s.client, s.conn.ConnectionState().CipherSuite) == nil
	}
	buf := make([]byte, 16<<10)
	for err == nil {
		var n int
		n, err = s.conn.Read(buf)
		s.plain = append(s.plain, buf[:n]...)
	}
	s.over, s.err, s.notified = true, err, err == io.EOF
}

// take takes what was received, and returns what it says.
func (s *Session) take(p []byte) (plain []byte) {
	s.in = append(s.in, p...)
	s.goOn()
	plain, s.plain = s.plain, nil
	return plain
}

// failure returns what this side has found wrong.
func (s *Session) failure() error {
	if op, ok := s.err.(*net.OpError); !s.over || s.notified || s.stopped || ok && op.Op == "remote error" {
		return nil
	}
	return s.err
}

// goOn lets the goroutine use its input.
func (s *Session) goOn() {
	if s.begun && !s.over {
		s.resume <- struct{}{}
		<-s.parked
	}
}

// Stop ends the goroutine.
func (s *Session) Stop() {
	s.stopped = true
	s.goOn()
}

// output returns what is to be sent.
func (s *Session) output() (p []byte) {
	p, s.out = s.out, nil
	return p
}

// say encrypts p. It is the goroutine of the peer's that calls it, while that of the Session waits.
func (s *Session) say(p []byte) {
	if !s.rogues {
		s.conn.Write(p)
		return
	}
	const most = 14 // crypto/tls bears 16 answers without data between
	s.asked++
	s.out = s.rogue.Update(s.out, s.asked <= most || s.Floods)
	for i := 1; i < most && s.Floods; i++ {
		s.out = s.rogue.Update(s.out, true)
	}
	for len(p) > 0 {
		n := min(len(p), 16<<10)
		s.out = s.rogue.Seal(s.out, tlstest.ApplicationData, p[:n:n]...)
		p = p[n:]
	}
}

// sayEnd says that nothing more comes.
func (s *Session) sayEnd() {
	const alert = 21
	switch {
	case s.said || !s.up:
	case s.rogues:
		s.out = s.rogue.Seal(s.out, alert, 1, 0)
		s.said = true
	default:
		s.said = s.conn.CloseWrite() == nil
	}
}

// A sessionConn is a Session as crypto/tls sees it.
type sessionConn struct{ s *Session }

var errStopped = errors.New("simkernel: the session is stopped")

// Read waits for the peer to receive something.
func (c sessionConn) Read(p []byte) (int, error) {
	s := c.s
	for len(s.in) == 0 {
		if s.stopped {
			return 0, errStopped
		}
		s.parked <- struct{}{}
		<-s.resume
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (c sessionConn) Write(p []byte) (int, error) {
	c.s.out = append(c.s.out, p...)
	return len(p), nil
}

func (sessionConn) Close() error                     { return nil }
func (sessionConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (sessionConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (sessionConn) SetDeadline(time.Time) error      { return nil }
func (sessionConn) SetReadDeadline(time.Time) error  { return nil }
func (sessionConn) SetWriteDeadline(time.Time) error { return nil }
