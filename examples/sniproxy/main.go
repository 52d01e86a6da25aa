// Sniproxy joins each TLS client with the server of the name that it asks for. It has no key and decrypts nothing.
//
// It teaches ClientHello (the name in a client's first message), DialPipe (connect, then join), and MessageTimeout (a
// client that does not complete its first message is sent away).
//
//	go run ./examples/sniproxy -listen 127.0.0.1:8443 one.example=127.0.0.1:7443 other.example=127.0.0.1:7444
//	curl --connect-to one.example:443:127.0.0.1:8443 https://one.example/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard"
)

// unknownName is the alert of TLS for a name that is not served (RFC 8446, section 6: fatal, unrecognized_name).
const unknownName = "\x15\x03\x01\x00\x02\x02\x70"

// routes are the addresses of servers by their names, and the handler of all clients.
type routes map[string]string

func (r routes) Data(c *switchboard.Conn, p []byte) (int, error) {
	hello, err := switchboard.ClientHello(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, nil // more is needed
	}
	if err != nil {
		return 0, err
	}
	address, ok := r[strings.ToLower(hello.ServerName)]
	if !ok {
		io.WriteString(c, unknownName)
		return 0, fmt.Errorf("no server is called %q", hello.ServerName)
	}
	return 0, c.DialPipe(context.Background(), address, nil, nil) // what is not consumed goes first
}

func (r routes) Closed(c *switchboard.Conn, err error) {
	if err != nil {
		log.Printf("%v: %v", c.RemoteAddr(), err)
	}
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("sniproxy: ")
	address := flag.String("listen", "127.0.0.1:8443", "address to listen on")
	flag.Parse()
	r := routes{}
	for _, route := range flag.Args() {
		name, target, ok := strings.Cut(route, "=")
		if !ok {
			log.Fatalf("%q is not NAME=ADDRESS", route)
		}
		r[strings.ToLower(name)] = target
	}
	server := &switchboard.Server{
		Handler: r, InputLimit: 64 << 10, MessageTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute,
		Listening: func(at net.Addr) { fmt.Println("listening on", at) },
	}
	log.Fatal(server.ListenAndServe(*address))
}
