// Websocketecho is an echo server over WebSocket on event loops, without an HTTP server.
//
// It teaches websocket.Upgrader.Accept, which takes a connection from its first bytes, and MessageFunc. An idle WebSocket
// costs it a few hundred bytes.
//
//	go run ./examples/websocketecho -listen 127.0.0.1:7007
//	go run ./cmd/switchboard dial ws://127.0.0.1:7007
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("websocketecho: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: websocketecho [-listen address] [-engine name] [-deflate=false]")
	}
	address := flag.String("listen", "127.0.0.1:7007", "")
	engine := flag.String("engine", "auto", "")
	deflate := flag.Bool("deflate", true, "")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q is one too many", flag.Arg(0))
	}

	const longest = 16 << 20 // bytes of a message
	upgrader := &websocket.Upgrader{Handler: websocket.MessageFunc((*websocket.Conn).Write)}
	upgrader.MaxMessage = longest
	if *deflate {
		upgrader.Deflate = &websocket.Deflate{}
	}
	server := &switchboard.Server{Engine: *engine, Accept: upgrader.Accept}
	server.QueueLimit = longest + 1<<20 // an echo waits in the queue as a whole, above what may be there already
	server.Listening = func(at net.Addr) { fmt.Println("listening on", at) }
	log.Fatal(server.ListenAndServe(*address))
}
