package web_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/web"
)

// An HTTP server whose idle connections have no goroutine, with an orderly end.
func ExampleServer() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })
	server := &web.Server{HTTP: &http.Server{Handler: mux}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- server.Serve(l) }()

	answer, err := http.Get("http://" + l.Addr().String() + "/hello")
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	fmt.Printf("%s%v\n", body, err)

	server.HTTP.Shutdown(context.Background())
	fmt.Println(errors.Is(<-ended, http.ErrServerClosed))
	// Output:
	// hello
	// <nil>
	// true
}

// HTTPS. The files may be empty because the configuration has a certificate.
func ExampleServer_ServeTLS() {
	own, err := certs.SelfSigned("127.0.0.1")
	if err != nil {
		log.Fatal(err)
	}
	server := &web.Server{HTTP: &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.TLS.HandshakeComplete) }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}},
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.ServeTLS(l, "", "")
	defer server.HTTP.Close()

	trusted := x509.NewCertPool()
	trusted.AddCert(own.Leaf)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("https://" + l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	fmt.Printf("%s%v\n", body, err)
	// Output:
	// true
	// <nil>
}
