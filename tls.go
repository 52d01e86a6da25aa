package switchboard

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// TLS returns what the TLS handshake of c agreed on: version, cipher, ALPN protocol, certificates. It is nil when c does
// not speak TLS, or does not yet: a Handler's methods run only once the handshake is done. Any goroutine may call it.
func (c *Conn) TLS() *tls.ConnectionState {
	t := c.transport()
	if t == nil || !t.up.Load() {
		return nil
	}
	state := t.tls.ConnectionState()
	return &state
}

// DialTLS is Dial over TLS, as crypto/tls does it with config: nil stands for the zero Config, and a config with neither
// ServerName nor InsecureSkipVerify has the host of address verified. The handler hears of the connection when the
// handshake is done, for which Server.HandshakeTimeout holds. Any goroutine may call it.
//
// config.Renegotiation must be RenegotiateNever, as it is by default: crypto/tls could do it only while the loop waits.
func (s *Server) DialTLS(ctx context.Context, address string, config *tls.Config, h Handler) (*Conn, error) {
	if _, err := s.run(); err != nil {
		return nil, err
	}
	config, err := configFor(config, address)
	if err != nil {
		return nil, err
	}
	return s.dial(ctx, s.quietest(nil), address, config, h)
}

// DialTLS is Server.DialTLS on c's own loop, as Conn.Dial is. Any goroutine may call it.
func (c *Conn) DialTLS(ctx context.Context, address string, config *tls.Config, h Handler) (*Conn, error) {
	config, err := configFor(config, address)
	if err != nil {
		return nil, err
	}
	return c.Server().dial(ctx, c.loop, address, config, h)
}

// configFor completes a client's configuration as tls.Dial does.
func configFor(config *tls.Config, address string) (*tls.Config, error) {
	if config == nil {
		config = &tls.Config{}
	}
	if config.Renegotiation != tls.RenegotiateNever {
		return nil, (&dialing{address: address}).failure(errors.New(
			"tls: Config.Renegotiation must be RenegotiateNever: a renegotiation would hold the event loop"))
	}
	if config.ServerName == "" && !config.InsecureSkipVerify {
		d := dialing{address: address}
		if d.isPath() {
			return nil, d.failure(errors.New("tls: Config.ServerName must say whom to expect there"))
		}
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(address) // dial says what is wrong with it
	}
	return config, nil
}

// checkTLS tells at once what every handshake would fail for.
func checkTLS(config *tls.Config) error {
	if config != nil && len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return errors.New("switchboard: Server.TLSConfig has no certificate: " +
			"set its Certificates, GetCertificate or GetConfigForClient")
	}
	return nil
}

// ConnectionState is Conn.TLS for what Blocking calls: conn.(interface{ ConnectionState() tls.ConnectionState }), which
// a *tls.Conn is as well. It is the zero value without TLS.
func (st *stream) ConnectionState() (state tls.ConnectionState) {
	if known := st.c.TLS(); known != nil {
		state = *known
	}
	return state
}

// secure puts TLS between c and its handler. With client, c is the one that begins it.
func (c *Conn) secure(config *tls.Config, client bool) *transport {
	t := &transport{c: c}
	if client {
		t.tls = tls.Client(t, config)
	} else {
		t.tls = tls.Server(t, config)
	}
	c.extra().tls.Store(t)
	c.flags |= secured
	c.mu.Lock()
	c.out |= sealed
	c.mu.Unlock()
	return t
}

func (c *Conn) transport() *transport {
	if more := c.more.Load(); more != nil {
		return more.tls.Load()
	}
	return nil
}
