// Jsonlines answers requests, one JSON object a line, each when its answer is ready and not in the order of the requests.
//
// It teaches Hold: a handler that leaves a request to a goroutine holds the connection until the reply is written. So a
// client that ends its output after its last request gets every reply, and Shutdown waits for them.
//
//	go run ./examples/jsonlines -listen 127.0.0.1:7007
//	printf '{"id":1,"ms":300}\n{"id":2,"ms":10}\n' | nc -N 127.0.0.1 7007
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

type request struct {
	ID    int `json:"id"`
	Delay int `json:"ms"` // how long the answer takes, in milliseconds
}

type reply struct {
	ID    int    `json:"id"`
	Error string `json:"error,omitempty"`
}

var lines = frame.Lines(64 << 10)

// send may be called from any goroutine. A reply that the connection does not take must not be missing unnoticed.
func send(c *switchboard.Conn, r reply) error {
	p, _ := json.Marshal(r)
	err := c.WriteMessage(lines, p)
	if err != nil {
		c.Abort()
	}
	return err
}

var working = make(chan bool, 1000) // so many requests at a time, whoever sends them

func serve(c *switchboard.Conn, line []byte) error {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return send(c, reply{Error: err.Error()})
	}
	select {
	case working <- true:
	default: // a handler must not wait
		return send(c, reply{ID: r.ID, Error: "too busy"})
	}
	release := c.Hold()
	go func() {
		time.Sleep(time.Duration(r.Delay) * time.Millisecond) // or a database, or another server
		send(c, reply{ID: r.ID})
		<-working
		release()
	}()
	return nil
}

func main() {
	address := flag.String("listen", "127.0.0.1:7007", "address to listen on")
	flag.Parse()
	server := &switchboard.Server{Handler: switchboard.Messages(lines, serve)}
	server.Listening = func(at net.Addr) { fmt.Println("listening on", at) }
	interrupted, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	stopped := make(chan error)
	context.AfterFunc(interrupted, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.ListenAndServe(*address); err != switchboard.ErrServerClosed {
		log.Fatal(err)
	}
	<-stopped
}
