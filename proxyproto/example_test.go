package proxyproto_test

import (
	"fmt"
	"log"
	"net"

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
