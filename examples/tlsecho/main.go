// Tlsecho is an echo server over TLS on event loops: its handler reads and writes plaintext.
//
// It teaches Server.TLSConfig, with certificates from files that may change while it runs, or with a self-signed one, whose
// fingerprint it prints. Most of the memory of an idle connection is what crypto/tls keeps.
//
//	go run ./examples/tlsecho -listen 127.0.0.1:7007
//	openssl s_client -quiet -connect 127.0.0.1:7007
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"os"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("tlsecho: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: tlsecho [-listen address] [-cert file -key file]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	cert := flag.String("cert", "", "")
	key := flag.String("key", "", "")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q is one too many", flag.Arg(0))
	}

	config, err := configure(*cert, *key)
	if err != nil {
		log.Fatal(err)
	}
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		TLSConfig: config,
		Listening: func(at net.Addr) { fmt.Println("listening on", at) },
	}
	log.Fatal(server.ListenAndServe(*address))
}

// configure reads the certificate of the two files, or creates one.
func configure(cert, key string) (*tls.Config, error) {
	if cert != "" || key != "" {
		files, err := certs.Load(nil, certs.Pair{Cert: cert, Key: key})
		if err != nil {
			return nil, err
		}
		return &tls.Config{GetCertificate: files.GetCertificate}, nil
	}
	own, err := certs.SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		return nil, err
	}
	fmt.Println("certificate", certs.Fingerprint(own))
	return &tls.Config{Certificates: []tls.Certificate{own}}, nil
}
