package certs_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log"

	"github.com/switchboard-go/switchboard/certs"
)

// A server that only serves clients with a certificate of an authority, except revoked ones.
func ExampleLoadClients() {
	own, err := certs.SelfSigned("localhost")
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}}
	clients, err := certs.LoadClients(nil, "/etc/example/authorities.pem", "/etc/example/revoked.pem")
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("there are no such files here")
		return
	}
	clients.Apply(config) // then Server.TLSConfig
	// Output: there are no such files here
}

// What to compare with the output of openssl x509 -fingerprint -sha256.
func ExampleFingerprint() {
	own, err := certs.SelfSigned("localhost")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(certs.Fingerprint(own)))
	// Output: 95
}
