// Package certs has certificates for crypto/tls: from files that are read again when they change, with revocation lists, or
// self-signed for testing. A server that takes a renewed certificate without a restart:
//
//	files, err := certs.Load(nil, certs.Pair{Cert: "server.pem", Key: "server.key"})
//	if err != nil {
//		log.Fatal(err)
//	}
//	s := &switchboard.Server{TLSConfig: &tls.Config{GetCertificate: files.GetCertificate}, ...}
package certs
