package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/quote"
	"github.com/switchboard-go/switchboard/socket"
)

// secure speaks TLS over a socket that is connected. With --verbose it tells what was agreed on, and with whom.
func (d *dialling) secure(conn *socket.Socket, to destination) (*tlsSocket, error) {
	config := to.tls
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(to.name)
	}
	ctx := context.Background()
	if d.timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, d.timeout)
		defer cancel()
	}
	over := &tlsSocket{tls.Client(tlsTransport{conn}, config), conn}
	err := over.HandshakeContext(ctx)
	if d.verbose {
		tell(os.Stderr, over.ConnectionState(), config, err)
	}
	switch {
	case err == nil:
		return over, nil
	case ctx.Err() != nil:
		err = fmt.Errorf("no handshake within %v: %w", d.timeout, os.ErrDeadlineExceeded)
	case errors.Is(err, errCutOff):
		err = errors.New("the server hung up during the handshake, and may not speak TLS")
	}
	return nil, fmt.Errorf("handshake %s: %w", to, err)
}

// tlsSocket is a socket over which TLS is spoken.
type tlsSocket struct {
	*tls.Conn
	socket *socket.Socket
}

// Send is Socket.Send.
func (s *tlsSocket) Send(p []byte) (int, error) { return s.Write(p) }

// Recv is Socket.Recv.
func (s *tlsSocket) Recv(p []byte) (int, error) {
	n, err := s.Read(p)
	if n > 0 {
		err = nil // comes again
	}
	return n, err
}

// Shutdown ends the sending side: TLS's, and then the socket's.
func (s *tlsSocket) Shutdown(how int) error {
	return errors.Join(s.CloseWrite(), s.socket.Shutdown(how))
}

// tlsTransport is a socket as crypto/tls takes it. Its end is not that of TLS, for which crypto/tls would take it.
type tlsTransport struct{ *socket.Socket }

var errCutOff = fmt.Errorf("the server ended the connection without ending TLS, so what came may be incomplete: %w",
	io.ErrUnexpectedEOF)

// Read implements net.Conn.
func (b tlsTransport) Read(p []byte) (int, error) {
	n, err := b.Socket.Read(p)
	if err == io.EOF {
		err = errCutOff
	}
	return n, err
}

// LocalAddr implements net.Conn. Nobody asks for it.
func (b tlsTransport) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn. Nobody asks for it.
func (b tlsTransport) RemoteAddr() net.Addr { return nil }

// tell prints what a handshake agreed on, and the certificates that it brought: those that it failed for, too.
func tell(w io.Writer, state tls.ConnectionState, config *tls.Config, failed error) {
	if failed != nil {
		if refused := new(tls.CertificateVerificationError); errors.As(failed, &refused) {
			tellChain(w, refused.UnverifiedCertificates)
		}
		return
	}
	agreed := []string{tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)}
	if state.CurveID != 0 {
		agreed = append(agreed, state.CurveID.String())
	}
	switch {
	case state.NegotiatedProtocol != "":
		agreed = append(agreed, "ALPN "+state.NegotiatedProtocol)
	case len(config.NextProtos) > 0:
		agreed = append(agreed, "no ALPN")
	}
	fmt.Fprintln(w, quote.Line(strings.Join(agreed, ", ")))
	tellChain(w, state.PeerCertificates)
	if config.InsecureSkipVerify {
		fmt.Fprintln(w, "not verified: anybody could have made these")
	} else {
		fmt.Fprintln(w, "verified for", quote.Name(config.ServerName))
	}
}

// tellChain prints certificates. What is in them was chosen by who made them, and nothing is verified yet.
func tellChain(w io.Writer, chain []*x509.Certificate) {
	for i, c := range chain {
		var names []string
		for _, name := range c.DNSNames {
			names = append(names, quote.Name(name))
		}
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
		fmt.Fprintf(w, "certificate %d: %s\n", i, quote.Line(c.Subject.String()))
		if len(names) > 0 {
			fmt.Fprintln(w, "  for", strings.Join(names, ", "))
		}
		fmt.Fprintln(w, "  issued by", quote.Line(c.Issuer.String()))
		fmt.Fprintf(w, "  valid from %s to %s\n", c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
		fmt.Fprintln(w, "  SHA-256", certs.Fingerprint(tls.Certificate{Certificate: [][]byte{c.Raw}}))
	}
}
