package websocket_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/switchboard-go/switchboard/websocket"
)

// An asker is the handler of a client.
type asker struct{ closed chan error }

func (asker) Opened(c *websocket.Conn) error {
	fmt.Println("compressed:", c.Compressed())
	return c.Write(websocket.Text, []byte("hello"))
}

func (asker) Message(_ *websocket.Conn, _ websocket.Kind, p []byte) error {
	fmt.Printf("%s\n", p)
	return io.EOF
}

func (a asker) Closed(_ *websocket.Conn, err error) { a.closed <- err }

// An HTTP server of net/http with a WebSocket at one of its paths. The WebSocket itself is on an event loop.
func ExampleUpgrader() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a page\n") })
	mux.Handle("GET /echo", &websocket.Upgrader{
		Handler: websocket.MessageFunc((*websocket.Conn).Write),
		Origins: []string{"https://example.org"},
		Options: websocket.Options{MaxMessage: 64 << 10, Deflate: &websocket.Deflate{}},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	defer server.Close()

	dialer := &websocket.Dialer{
		Options: websocket.Options{Deflate: &websocket.Deflate{}},
		Header:  http.Header{"Origin": {"https://example.org"}},
	}
	client := asker{make(chan error, 1)}
	if _, err := dialer.Dial(context.Background(), "ws://"+l.Addr().String()+"/echo", client); err != nil {
		log.Fatal(err)
	}
	<-client.closed
	// Output:
	// compressed: true
	// hello
}
