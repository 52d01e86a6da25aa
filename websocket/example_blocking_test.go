package websocket_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A counter is the handler of a client that asks for numbers.
type counter struct{ closed chan error }

func (counter) Opened(c *websocket.Conn) error { return c.Write(websocket.Text, []byte("3")) }

func (counter) Message(_ *websocket.Conn, _ websocket.Kind, p []byte) error {
	fmt.Printf("%s\n", p)
	return nil
}

func (c counter) Closed(_ *websocket.Conn, err error) { c.closed <- err }

// A server whose code reads, waits and writes. It has a goroutine only while it answers.
func ExampleBlocking() {
	count := websocket.Blocking(func(s *websocket.Stream) error {
		s.SetReadDeadline(time.Now().Add(time.Minute))
		_, p, err := s.Read()
		if err != nil {
			return err
		}
		var n int
		fmt.Sscan(string(p), &n)
		for i := range n {
			time.Sleep(time.Millisecond) // it may wait
			if err := s.Write(websocket.Text, fmt.Append(nil, i)); err != nil {
				return err
			}
		}
		return io.EOF // close; nil would wait for the next message without a goroutine
	})
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Accept:    (&websocket.Upgrader{Handler: count}).Accept,
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	var dialer websocket.Dialer
	client := counter{make(chan error, 1)}
	if _, err := dialer.Dial(context.Background(), "ws://"+(<-listening).String()+"/", client); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-client.closed)
	// Output:
	// 0
	// 1
	// 2
	// <nil>
}
