package switchboard

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// TLS returns what the TLS handshake of c agreed on: version, cipher, ALPN protocol, certificates. It is nil if c does not
// speak TLS, and until a handshake that StartTLS began is complete. Any goroutine may call it.
func (c *Conn) TLS() *tls.ConnectionState {
	if t := c.encryption(); t != nil {
		return t.conn.State()
	}
	return nil
}

// ListenAndServeTLS is ListenAndServe over TLS with config. One server can have listeners with and without TLS; Conn.TLS
// tells Accept which kind a connection came from. A nil config means Server.TLSConfig.
func (s *Server) ListenAndServeTLS(address string, config *tls.Config) error {
	config, err := s.serverTLS(config)
	if err != nil {
		return err
	}
	return s.listenAndServe(address, config)
}

// ServeTLS is Serve over TLS with config. A nil config means Server.TLSConfig.
func (s *Server) ServeTLS(l net.Listener, config *tls.Config) error {
	config, err := s.serverTLS(config)
	if err != nil {
		l.Close()
		return err
	}
	return s.serveListener(l, config)
}

// DialTLS is Dial over TLS with config. A nil config means the zero Config. If config has neither ServerName nor
// InsecureSkipVerify, the certificate must be valid for the host of address. Server.HandshakeTimeout limits the handshake.
// Opened is called when it is complete. Any goroutine may call it.
//
// config.Renegotiation must be RenegotiateNever, which is the default: a renegotiation would make the loop wait.
func (s *Server) DialTLS(ctx context.Context, address string, config *tls.Config, h Handler) (*Conn, error) {
	if _, err := s.run(); err != nil {
		return nil, err
	}
	config, err := configFor(config, address)
	if err != nil {
		return nil, err
	}
	return s.quietest(nil).dial(ctx, address, config, h, nil)
}

// DialTLS is Server.DialTLS on the loop of c, as Conn.Dial is. Any goroutine may call it.
func (c *Conn) DialTLS(ctx context.Context, address string, config *tls.Config, h Handler) (*Conn, error) {
	config, err := configFor(config, address)
	if err != nil {
		return nil, err
	}
	return c.loop.dial(ctx, address, config, h, c)
}

// StartTLS begins TLS on a connection that is open without it, as SMTP, IMAP and other protocols do with their STARTTLS
// command. An accepted connection is the server of the handshake, a dialled one is the client. For an accepted connection
// a nil config means Server.TLSConfig. For a dialled one config must have a ServerName or InsecureSkipVerify, and no
// renegotiation.
//
// Bytes written before are sent unencrypted. Bytes written later wait for the handshake and are encrypted. Input that the
// handler has not consumed when the method that called StartTLS returns is the beginning of the handshake. Data must
// therefore consume the command and nothing after it; then no one can smuggle plaintext in front of the encrypted stream.
// The handler gets no Data until the handshake is complete. Server.HandshakeTimeout starts now.
//
// If config is not usable, or c is not open or speaks TLS already, StartTLS returns an error and changes nothing. It
// belongs to the loop.
func (c *Conn) StartTLS(config *tls.Config) error {
	c.checkLoop("Conn.StartTLS")
	switch {
	case c.marked(stopMark), c.state == stateGone:
		return c.closedError("starttls")
	case c.state != stateOpen, c.flags&inputEnded != 0:
		return c.tlsError("starttls", errors.New("the connection is not open"))
	case c.flags&secured != 0:
		return c.tlsError("starttls", errors.New("it has TLS already"))
	}
	if _, ok := c.handler.(*pipe); ok {
		return c.tlsError("starttls", errors.New("it is joined with another connection by Pipe"))
	}
	client := c.flags&dialled != 0
	var err error
	if client {
		err = checkClient(config)
	} else {
		config, err = c.Server().serverTLS(config)
	}
	if err != nil {
		return c.tlsError("starttls", err)
	}
	c.secure(config, client)
	c.become(stateHandshaking)
	c.flags |= upgraded
	c.flags &^= inputFull
	c.extra().since = c.loop.clock()
	c.schedule()
	c.later(todoHandshake) // when the handler has returned, and has left what it does not consume
	return nil
}

// ClientHello reads the first message of a TLS client, with which p begins: the name of the server that it asks for
// (ServerName), its protocols and versions. A proxy can choose a target with it and pass the whole stream on, without
// decrypting it. While more bytes are needed the error is io.ErrUnexpectedEOF; any other error is final. No ClientHello is
// longer than 64 KiB. The Conn of the result is nil.
func ClientHello(p []byte) (*tls.ClientHelloInfo, error) { return tlsconn.ClientHello(p) }

// configFor completes a client's configuration as tls.Dial does.
func configFor(config *tls.Config, address string) (*tls.Config, error) {
	if config == nil {
		config = &tls.Config{}
	}
	d := dialing{address: address}
	if config.ServerName == "" && !config.InsecureSkipVerify && !d.isPath() {
		config = config.Clone()
		host, _, _ := net.SplitHostPort(address) // dial says what is wrong with it
		config.ServerName = cmp.Or(host, "localhost")
	}
	if err := checkClient(config); err != nil {
		return nil, d.failure(err)
	}
	return config, nil
}

// checkClient tells at once what a client's handshake would fail for, or do badly.
func checkClient(config *tls.Config) error {
	switch {
	case config == nil || config.ServerName == "" && !config.InsecureSkipVerify:
		return errors.New("tls: Config.ServerName must say whom to expect there")
	case config.Renegotiation != tls.RenegotiateNever:
		return errors.New("tls: Config.Renegotiation must be RenegotiateNever: a renegotiation would hold the event loop")
	}
	return nil
}

// serverTLS returns config, or what stands for nil, if a server's handshakes can succeed with it.
func (s *Server) serverTLS(config *tls.Config) (*tls.Config, error) {
	config = cmp.Or(config, s.TLSConfig)
	if config == nil {
		return nil, errors.New("switchboard: there is no tls.Config, and Server.TLSConfig is nil")
	}
	return config, checkTLS(config)
}

// checkTLS tells at once what every handshake of a server would fail for.
func checkTLS(config *tls.Config) error {
	if config != nil && len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return errors.New("switchboard: the tls.Config has no certificate: " +
			"set its Certificates, GetCertificate or GetConfigForClient")
	}
	return nil
}

// tlsError says what call failed for on c.
func (c *Conn) tlsError(call string, err error) error {
	addr := c.RemoteAddr()
	return &net.OpError{Op: call, Net: addr.Network(), Addr: addr, Err: err}
}

// ConnectionState is Conn.TLS for what Blocking calls: conn.(interface{ ConnectionState() tls.ConnectionState }), which
// a *tls.Conn is as well. It is the zero value without TLS.
func (st *stream) ConnectionState() (state tls.ConnectionState) {
	if known := st.c.TLS(); known != nil {
		state = *known
	}
	return state
}

// An encryption is what a connection with TLS has more than others.
type encryption struct {
	conn *tlsconn.Conn // the loop's, and during a step of the handshake its goroutine's
	hand *handshake    // nil before it waits for its turn, and once it is done

	// Output, under Conn.mu.
	plain         buffer.Queue // taken by Write and not yet encrypted; Conn.queue holds what is
	tail          int32        // the last bytes of that which carry nothing of what Write took
	answers       int32        // bytes of that which are TLS's own, at most
	up            bool         // the handshake is done
	closeNotified bool         // the close_notify is made
	tlsFailed     bool         // crypto/tls has given up: nothing more can be encrypted
}

// secure puts TLS between c and its handler. With client, c is the one that begins it.
func (c *Conn) secure(config *tls.Config, client bool) *encryption {
	t := new(encryption)
	if client {
		t.conn = tlsconn.Client(config, c)
	} else {
		t.conn = tlsconn.Server(config, c)
	}
	c.extra().tls.Store(t)
	c.flags |= secured
	c.mu.Lock()
	c.out |= sealed
	c.mu.Unlock()
	return t
}

// encryption returns what c has for TLS, nil if it speaks none or has not begun. Any goroutine may call it.
func (c *Conn) encryption() *encryption {
	if more := c.more.Load(); more != nil {
		return more.tls.Load()
	}
	return nil
}
