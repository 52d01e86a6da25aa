package switchboard_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
)

// A host says goodbye when the server shuts down.
type host struct{ switchboard.DataFunc }

func (host) Leaving(c *switchboard.Conn) {
	fmt.Fprintln(c, "goodbye")
	c.Close()
}

func ExampleLeaver() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler:   host{(*switchboard.Conn).Write},
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	fmt.Fprintln(c, "hello")
	line, _ := r.ReadString('\n')
	fmt.Print(line)
	go server.Shutdown(context.Background())
	rest, err := io.ReadAll(r)
	fmt.Print(string(rest), err)
	// Output:
	// hello
	// goodbye
	// <nil>
}
