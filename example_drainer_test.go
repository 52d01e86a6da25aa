package switchboard_test

import (
	"fmt"
	"io"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
)

// A source sends many bytes and never has more than Server.HighWater of them in memory, however slowly they are read.
type source struct{ left int }

func (s *source) Opened(c *switchboard.Conn) error {
	s.Drained(c)
	return nil
}

func (s *source) Drained(c *switchboard.Conn) {
	var piece [4 << 10]byte
	for s.left > 0 && !c.Full() {
		n, err := c.Write(piece[:min(len(piece), s.left)])
		if err != nil {
			return // the connection is gone
		}
		s.left -= n
	}
	if s.left == 0 {
		c.Close()
	}
}

func (s *source) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }
func (s *source) Closed(*switchboard.Conn, error)                 {}

func ExampleDrainer() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Accept:    func(*switchboard.Conn) (switchboard.Handler, error) { return &source{10_000_000}, nil },
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(io.Copy(io.Discard, c))
	// Output: 10000000 <nil>
}
