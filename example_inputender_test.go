package switchboard_test

import (
	"fmt"
	"io"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
)

// A counter answers, at the end of its input, how much that was.
type counter struct{}

func (counter) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }

func (counter) InputEnded(c *switchboard.Conn, _ []byte) error {
	fmt.Fprintln(c, c.Received(), "bytes")
	return io.EOF // the end in order, once the answer is sent
}

func (counter) Closed(*switchboard.Conn, error) {}

func ExampleInputEnder() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{Handler: counter{}, Listening: func(addr net.Addr) { listening <- addr }}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "twelve bytes")
	c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	fmt.Print(string(answer), err)
	// Output:
	// 12 bytes
	// <nil>
}
