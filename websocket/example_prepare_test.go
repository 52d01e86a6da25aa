package websocket_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A news is the handler of a server that sends the same message to every client.
type news struct{ message *websocket.Prepared }

func (n news) Opened(c *websocket.Conn) error { return c.WritePrepared(n.message) }

func (news) Message(*websocket.Conn, websocket.Kind, []byte) error { return nil }

func (news) Closed(*websocket.Conn, error) {}

// A reader is the handler of a client that reads one message.
type reader struct{ closed chan error }

func (reader) Message(_ *websocket.Conn, _ websocket.Kind, p []byte) error {
	fmt.Printf("%s\n", p)
	return io.EOF
}

func (r reader) Closed(_ *websocket.Conn, err error) { r.closed <- err }

// A message for many WebSockets is encoded once.
func ExamplePrepare() {
	message, err := websocket.Prepare(websocket.Text, []byte("the news"))
	if err != nil {
		log.Fatal(err)
	}
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Accept:    (&websocket.Upgrader{Handler: news{message}}).Accept,
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	url := "ws://" + (<-listening).String() + "/"
	var dialer websocket.Dialer
	for range 2 {
		client := reader{make(chan error, 1)}
		if _, err := dialer.Dial(context.Background(), url, client); err != nil {
			log.Fatal(err)
		}
		<-client.closed
	}
	// Output:
	// the news
	// the news
}
