// Echoclient sends its arguments to an echo server and prints what comes back.
//
// It teaches the calls of a client: connect, send, recv, close; and that a reply may arrive in pieces, so that a client
// must know when it has all of it. Here it is as long as the message was.
//
//	go run ./examples/echoserver -listen 127.0.0.1:7007
//	go run ./examples/echoclient -to 127.0.0.1:7007 hello world
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("echoclient: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: echoclient [-to address] message...") }
	address := flag.String("to", "127.0.0.1:7007", "")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("no message to send")
	}

	conn, err := socket.CreateConnection(context.Background(), *address, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	conn.SetTimeout(10 * time.Second) // for each call: a server that never answers is an error
	for _, message := range flag.Args() {
		reply, err := ask(conn, message)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", reply)
	}
}

func ask(conn *socket.Socket, message string) ([]byte, error) {
	if _, err := conn.SendAll([]byte(message)); err != nil {
		return nil, err
	}
	reply := make([]byte, len(message))
	for have := 0; have < len(reply); {
		n, err := conn.Recv(reply[have:])
		if err == io.EOF {
			return nil, fmt.Errorf("the server hung up after %d bytes of %d", have, len(reply))
		}
		if err != nil {
			return nil, err
		}
		have += n
	}
	return reply, nil
}
