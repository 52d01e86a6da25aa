package proxyproto_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/proxyproto"
)

func ExampleParse() {
	p := []byte("PROXY TCP4 192.0.2.7 192.0.2.1 51324 443\r\nGET / HTTP/1.1\r\n")
	header, n, err := proxyproto.Parse(p)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("for %v: %q\n", header.Source, p[n:])
	// Output: for 192.0.2.7:51324: "GET / HTTP/1.1\r\n"
}

func ExampleHeader_Append() {
	header := &proxyproto.Header{
		Version:     1,
		Source:      &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 51324},
		Destination: &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443},
	}
	b, err := header.Append(nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", b)
	// Output: "PROXY TCP6 2001:db8::7 2001:db8::1 51324 443\r\n"
}

// A server that passes its connections on to another one, and what the load balancer in front of it says of the clients.
func ExampleForward() {
	receiver := &proxyproto.Receiver{
		From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, // the load balancer
		Received: func(c *switchboard.Conn, h *proxyproto.Header) error {
			c.SetValue(h)
			return nil
		},
	}
	server := &switchboard.Server{
		Admission: []switchboard.Admitter{receiver},
		Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
			return nil, c.DialPipe(context.Background(), "10.0.1.7:8080", nil, &forwarder{c})
		},
	}
	log.Fatal(server.ListenAndServe(":8080"))
}

// A forwarder is the handler of a connection to the other server, until DialPipe joins it with the client's.
type forwarder struct{ client *switchboard.Conn }

// Opened sends the header before anything else.
func (f *forwarder) Opened(to *switchboard.Conn) error {
	received := switchboard.Value[*proxyproto.Header](f.client)
	b, err := proxyproto.Forward(f.client, received, 2).Append(nil)
	if err == nil {
		_, err = to.Write(b)
	}
	return err
}

func (f *forwarder) Data(*switchboard.Conn, []byte) (int, error) { return 0, nil }
func (f *forwarder) Closed(*switchboard.Conn, error)             {}
