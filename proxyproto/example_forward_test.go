package proxyproto_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/proxyproto"
)

// A forwarder is the handler of a connection to another server, until DialPipe joins it with the client's.
type forwarder struct{ client *switchboard.Conn }

// Opened sends the header before anything else.
func (f *forwarder) Opened(to *switchboard.Conn) error {
	received := switchboard.Value[*proxyproto.Header](f.client)
	b, err := proxyproto.Forward(f.client, received, 1).Append(nil)
	if err == nil {
		_, err = to.Write(b)
	}
	return err
}

func (f *forwarder) Data(*switchboard.Conn, []byte) (int, error) { return 0, nil }
func (f *forwarder) Closed(*switchboard.Conn, error)             {}

// A server between a load balancer and another server passes on what the balancer says of its clients.
func ExampleForward() {
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer behind.Close()

	receiver := &proxyproto.Receiver{
		From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, // the balancer
		Received: func(c *switchboard.Conn, h *proxyproto.Header) error {
			c.SetValue(h)
			return nil
		},
	}
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Admission: []switchboard.Admitter{receiver},
		Listening: func(a net.Addr) { listening <- a },
		Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
			return nil, c.DialPipe(context.Background(), behind.Addr().String(), nil, &forwarder{c})
		},
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	balancer, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer balancer.Close()
	fmt.Fprint(balancer, "PROXY TCP4 192.0.2.7 192.0.2.1 51324 443\r\nhello")
	balancer.(*net.TCPConn).CloseWrite()

	conn, err := behind.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	all, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", all)
	// Output: "PROXY TCP4 192.0.2.7 192.0.2.1 51324 443\r\nhello"
}
