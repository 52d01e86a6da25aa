package proxyproto

import (
	"crypto/tls"
	"encoding/binary"
	"strings"
)

// A TLS is what a proxy says about TLS between it and its client, section 2.2.6 of the specification. The texts are as OpenSSL
// writes them, and empty if the proxy does not say.
type TLS struct {
	Version    string // "TLSv1.3"
	Cipher     string // "TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"
	CommonName string // of the client's certificate
	SigAlg     string // the algorithm by which the proxy's certificate is signed: "RSA-SHA256"
	KeyAlg     string // the key of the proxy's certificate: "RSA2048", "EC256"

	Certificate bool // the client has shown a certificate, on this connection
	Session     bool // the client has shown a certificate, at least once in this TLS session
	Verified    bool // the certificate was verified, or there is none
}

// The bits of the first byte, and the types of the fields within the field.
const (
	clientTLS         = 0x01
	clientCertConn    = 0x02
	clientCertSession = 0x04

	typeVersion    Type = 0x21
	typeCommonName Type = 0x22
	typeCipher     Type = 0x23
	typeSigAlg     Type = 0x24
	typeKeyAlg     Type = 0x25
)

// TLS returns what the proxy says about TLS with its client. It is nil if the client spoke no TLS, or the proxy does not say.
func (h *Header) TLS() *TLS {
	value := h.Get(SSL)
	if len(value) < 5 || value[0]&clientTLS == 0 {
		return nil
	}
	t := &TLS{
		Certificate: value[0]&clientCertConn != 0,
		Session:     value[0]&clientCertSession != 0,
		Verified:    binary.BigEndian.Uint32(value[1:]) == 0,
	}
	fields, _ := split(value[5:])
	for _, f := range fields {
		switch f.Type {
		case typeVersion:
			t.Version = string(f.Value)
		case typeCommonName:
			t.CommonName = string(f.Value)
		case typeCipher:
			t.Cipher = string(f.Value)
		case typeSigAlg:
			t.SigAlg = string(f.Value)
		case typeKeyAlg:
			t.KeyAlg = string(f.Value)
		}
	}
	return t
}

// checkTLS tells what is wrong with the value of an SSL field.
func checkTLS(value []byte) error {
	if len(value) < 5 {
		return malformed("the TLS field has %d bytes, and at least 5 are needed", len(value))
	}
	_, err := split(value[5:])
	return err
}

// SetTLS has h say what a TLS handshake agreed on with the client: ALPN, Authority and SSL, in version 2.
func (h *Header) SetTLS(state *tls.ConnectionState) {
	if state.NegotiatedProtocol != "" {
		h.set(ALPN, []byte(state.NegotiatedProtocol))
	}
	if state.ServerName != "" {
		h.set(Authority, []byte(state.ServerName))
	}
	bits, verify := byte(clientTLS), uint32(0)
	if len(state.PeerCertificates) > 0 {
		bits |= clientCertSession
		if !state.DidResume {
			bits |= clientCertConn
		}
		if len(state.VerifiedChains) == 0 {
			verify = 1
		}
	}
	b := binary.BigEndian.AppendUint32([]byte{bits}, verify)
	add := func(t Type, text string) {
		if text != "" {
			b = appendField(b, t, []byte(text))
		}
	}
	add(typeVersion, strings.ReplaceAll(tls.VersionName(state.Version), "TLS ", "TLSv"))
	if len(state.PeerCertificates) > 0 {
		add(typeCommonName, state.PeerCertificates[0].Subject.CommonName)
	}
	add(typeCipher, opensslCipher(tls.CipherSuiteName(state.CipherSuite)))
	h.set(SSL, b)
}

// opensslCipher turns the name of a cipher suite of TLS 1.2 and before into OpenSSL's. Those of TLS 1.3 are the same.
func opensslCipher(name string) string {
	rest, old := strings.CutPrefix(name, "TLS_")
	exchange, cipher, ok := strings.Cut(rest, "_WITH_")
	if !old || !ok {
		return name
	}
	cipher = strings.NewReplacer("AES_", "AES", "_CBC3", "", "_CBC", "", "3DES_EDE", "DES-CBC3").Replace(cipher)
	if strings.HasPrefix(cipher, "CHACHA20") {
		cipher = strings.TrimSuffix(cipher, "_SHA256")
	}
	if exchange != "RSA" {
		cipher = exchange + "-" + cipher
	}
	return strings.ReplaceAll(cipher, "_", "-")
}
