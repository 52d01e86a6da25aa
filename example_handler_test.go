package switchboard_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
)

// A clerk answers each question that ends with a question mark. It is the handler of one connection and counts for it.
type clerk struct {
	answered int
	closed   chan error
}

func (k *clerk) Data(c *switchboard.Conn, p []byte) (int, error) {
	end := bytes.IndexByte(p, '?')
	if end < 0 {
		return 0, nil // all of it is offered again, with more behind it
	}
	k.answered++
	if string(p[:end]) == "bye" {
		return end + 1, io.EOF // the end in order
	}
	_, err := fmt.Fprintf(c, "%d: %s!\n", k.answered, p[:end])
	return end + 1, err
}

func (k *clerk) Closed(_ *switchboard.Conn, err error) { k.closed <- err }

func ExampleHandler() {
	listening, closed := make(chan net.Addr, 1), make(chan error, 2)
	server := &switchboard.Server{
		Accept:    func(*switchboard.Conn) (switchboard.Handler, error) { return &clerk{closed: closed}, nil },
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	address := (<-listening).String()
	for _, said := range []string{"one?two?bye?", "a question that is cut of"} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprint(c, said)
		c.(*net.TCPConn).CloseWrite()
		heard, _ := io.ReadAll(c)
		c.Close()
		err = <-closed
		fmt.Printf("%s%v, %v\n", heard, err, errors.Is(err, io.ErrUnexpectedEOF))
	}
	// Output:
	// 1: one!
	// 2: two!
	// <nil>, false
	// unexpected EOF, true
}
