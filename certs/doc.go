// Package certs finds certificates for crypto/tls: in files, read again when they change, or made for testing.
//
//	files, err := certs.Load(nil, certs.Pair{Cert: "server.pem", Key: "server.key"})
//	if err != nil {
//		log.Fatal(err)
//	}
//	s := &switchboard.Server{TLSConfig: &tls.Config{GetCertificate: files.GetCertificate}, ...}
package certs
