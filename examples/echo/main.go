// Echo is the shortest server on the event loops: a handler is an expression.
//
// It teaches what DataFunc is, and how a server ends in order: what was received is answered before the connections close.
//
//	go run ./examples/echo -listen 127.0.0.1:7007
//	printf hello | nc -N 127.0.0.1 7007
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/switchboard-go/switchboard"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("echo: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: echo [-listen address]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	flag.Parse()

	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(at net.Addr) { fmt.Println("listening on", at) },
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ended := make(chan error, 1)
	context.AfterFunc(interrupted, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ended <- server.Shutdown(ctx)
	})
	if err := server.ListenAndServe(*address); !errors.Is(err, switchboard.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
}
