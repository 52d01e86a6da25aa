package websocket_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A greeting is the handler of a client: it sends a message, prints the answer, and closes the WebSocket.
type greeting struct{ closed chan error }

func (greeting) Opened(c *websocket.Conn) error { return c.Write(websocket.Text, []byte("hello")) }

func (greeting) Message(c *websocket.Conn, kind websocket.Kind, p []byte) error {
	fmt.Printf("%v %s\n", kind, p)
	return c.Close(websocket.CodeNormal, "")
}

func (g greeting) Closed(_ *websocket.Conn, err error) { g.closed <- err }

// An echo server on event loops, and a client.
func Example() {
	upgrader := &websocket.Upgrader{Handler: websocket.MessageFunc((*websocket.Conn).Write)}
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{Accept: upgrader.Accept, Listening: func(addr net.Addr) { listening <- addr }}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	var dialer websocket.Dialer
	client := greeting{make(chan error, 1)}
	if _, err := dialer.Dial(context.Background(), "ws://"+(<-listening).String()+"/", client); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-client.closed)
	// Output:
	// text hello
	// <nil>
}
