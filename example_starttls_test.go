package switchboard_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
)

// A server whose clients may ask for TLS in the middle of a connection.
type upgrading struct{ config *tls.Config }

func (h upgrading) Data(c *switchboard.Conn, p []byte) (int, error) {
	line, _, whole := bytes.Cut(p, []byte("\n"))
	if !whole {
		return 0, nil
	}
	n := len(line) + 1 // and nothing behind it: that is the client's handshake
	if string(line) == "STARTTLS" && c.TLS() == nil {
		io.WriteString(c, "go ahead\n")
		return n, c.StartTLS(h.config)
	}
	fmt.Fprintf(c, "%s, encrypted: %v\n", line, c.TLS() != nil)
	return n, nil
}

func (upgrading) Closed(*switchboard.Conn, error) {}

func ExampleConn_StartTLS() {
	certificate, err := certs.SelfSigned("localhost")
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	h := upgrading{&tls.Config{Certificates: []tls.Certificate{certificate}}}
	server := &switchboard.Server{Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return h, nil }}
	go server.Serve(l)
	defer server.Shutdown(context.Background())

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	says := func(c net.Conn, line string) {
		fmt.Fprintln(c, line)
		answer, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(answer)
	}
	says(c, "hello")
	says(c, "STARTTLS")
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	says(tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "localhost"}), "hello")
	// Output:
	// hello, encrypted: false
	// go ahead
	// hello, encrypted: true
}
