package access_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/access"
)

// One connection at a time from each address.
func ExampleNew() {
	addresses := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Admission: []switchboard.Admitter{access.New(access.Rules{PerAddress: 1})},
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { addresses <- addr },
	}
	defer server.Close()
	go server.ListenAndServe("127.0.0.1:0")
	address := (<-addresses).String()

	hello := func() (net.Conn, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := io.WriteString(conn, "hello"); err != nil {
			return conn, err
		}
		_, err = io.ReadFull(conn, make([]byte, 5))
		return conn, err
	}
	first, err := hello()
	fmt.Println("the first is served:", err == nil)
	second, err := hello()
	fmt.Println("the second is served:", err == nil)
	first.Close()
	second.Close()
	// Output:
	// the first is served: true
	// the second is served: false
}

func ExampleParseList() {
	list, err := access.ParseList("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Contains(netip.MustParseAddr("10.1.2.3")), list.Contains(netip.MustParseAddr("192.0.2.2")))
	// Output: true false
}
