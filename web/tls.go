package web

import (
	"cmp"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"slices"

	"github.com/switchboard-go/switchboard"
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
	if s.Loops.PlainReply == nil {
		s.Loops.PlainReply = plainReply
	}
	s.logHandshakes()
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

// plainReply is what net/http answers to HTTP where TLS is due.
func plainReply(first []byte) []byte {
	if !spokeHTTP(first) {
		return nil
	}
	return []byte("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
}

func spokeHTTP(first []byte) bool {
	switch string(first) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// logHandshakes has HTTP.ErrorLog be told of handshakes that fail, as net/http does.
func (s *Server) logHandshakes() {
	var trace switchboard.Trace
	if s.Loops.Trace != nil {
		trace = *s.Loops.Trace
	}
	next := trace.Refused
	trace.Refused = func(c *switchboard.Conn, err error) {
		if failed := (*net.OpError)(nil); errors.As(err, &failed) && failed.Op == "handshake" {
			reason := failed.Err.Error()
			if bad, ok := errors.AsType[tls.RecordHeaderError](err); ok && spokeHTTP(bad.RecordHeader[:]) {
				reason = "client sent an HTTP request to an HTTPS server"
			}
			s.logf("http: TLS handshake error from %s: %v", c.RemoteAddr(), reason)
		}
		if next != nil {
			next(c, err)
		}
	}
	s.Loops.Trace = &trace
}

func (s *Server) logf(format string, args ...any) {
	if s.HTTP.ErrorLog != nil {
		s.HTTP.ErrorLog.Printf(format, args...)
	} else {
		log.Printf(format, args...)
	}
}
