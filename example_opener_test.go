package switchboard_test

import (
	"bufio"
	"fmt"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
)

// A greeter speaks first.
type greeter struct{ switchboard.DataFunc }

func (greeter) Opened(c *switchboard.Conn) error {
	_, err := fmt.Fprintln(c, "welcome")
	return err
}

func ExampleOpener() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler:   greeter{(*switchboard.Conn).Write},
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	line, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Print(line)
	// Output: welcome
}
