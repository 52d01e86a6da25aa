// Webhello serves net/http on the event loops: it answers every request with one line.
//
// It teaches what a program that uses net/http changes for it: two lines. Its idle connections have no goroutine.
//
//	go run ./examples/webhello -listen 127.0.0.1:8080
//	curl http://127.0.0.1:8080/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/switchboard-go/switchboard/web"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("webhello: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: webhello [-listen address]") }
	address := flag.String("listen", "127.0.0.1:8080", "")
	flag.Parse()

	l, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", l.Addr())

	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "Hello, world!\n")
	})}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ended := make(chan error, 1)
	context.AfterFunc(interrupted, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ended <- server.Shutdown(ctx)
	})
	// With net/http alone it is server.Serve(l).
	loops := &web.Server{HTTP: server}
	if err := loops.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
}
