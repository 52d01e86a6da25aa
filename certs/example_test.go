package certs_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/switchboard-go/switchboard/certs"
)

// A certificate for testing.
func ExampleSelfSigned() {
	certificate, err := certs.SelfSigned("localhost", "127.0.0.1")
	if err != nil {
		fmt.Println(err)
		return
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	fmt.Println(config.Certificates[0].Leaf.DNSNames, config.Certificates[0].Leaf.IPAddresses)
	// Output: [localhost] [127.0.0.1]
}

// Certificates from files that may be renewed while the server runs.
func ExampleLoad() {
	files, err := certs.Load(slog.Default(), certs.Pair{Cert: "/etc/example/cert.pem", Key: "/etc/example/key.pem"})
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("there are no such files here")
		return
	}
	config := &tls.Config{GetCertificate: files.GetCertificate}
	_ = config // for Server.TLSConfig or ListenAndServeTLS
	// Output: there are no such files here
}
