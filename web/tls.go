package web

import (
	"cmp"
	"crypto/tls"
	"errors"
	"slices"
)

// A certificate is the files that ServeTLS was given.
type certificate struct{ certFile, keyFile string }

// secure makes the loops' TLS configuration: from HTTP.TLSConfig for ServeTLS, else what Loops has already.
func (s *Server) secure(cert *certificate) error {
	config := s.Loops.TLSConfig
	if cert != nil {
		if config != nil {
			return errors.New("web: ServeTLS: Server.Loops.TLSConfig is set: Serve serves TLS with it")
		}
		config = s.HTTP.TLSConfig.Clone()
		if config == nil {
			config = new(tls.Config)
		}
		has := len(config.Certificates) > 0 || config.GetCertificate != nil || config.GetConfigForClient != nil
		if !has || cert.certFile != "" || cert.keyFile != "" {
			pair, err := tls.LoadX509KeyPair(cert.certFile, cert.keyFile)
			if err != nil {
				return err
			}
			config.Certificates = []tls.Certificate{pair}
		}
	}
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(proto string) bool { return proto == "h2" })
	if !slices.Contains(config.NextProtos, "http/1.1") {
		config.NextProtos = append(config.NextProtos, "http/1.1")
	}
	s.Loops.TLSConfig = config
	least := max(0, s.HTTP.ReadHeaderTimeout)
	if d := s.HTTP.ReadTimeout; d > 0 && (least == 0 || d < least) {
		least = d
	}
	if d := s.HTTP.WriteTimeout; d > 0 && (least == 0 || d < least) {
		least = d
	}
	s.Loops.HandshakeTimeout = cmp.Or(s.Loops.HandshakeTimeout, least)
	return nil
}
