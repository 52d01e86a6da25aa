// Goroutineserver serves every client on a goroutine of its own: what threads are in C and Python.
//
// It teaches that blocking calls are no trouble when each client has somebody who waits for it. A Recv parks its goroutine, not
// a thread. The price is a goroutine and a buffer for each client, whether it says anything or not.
//
//	go run ./examples/goroutineserver -listen 127.0.0.1:7007
//	go run ./examples/multiclient -to 127.0.0.1:7007 -n 3 hello world
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/switchboard-go/switchboard/socket"
)

const maxClients = 10_000 // the next ones wait in the backlog

func main() {
	log.SetFlags(0)
	log.SetPrefix("goroutineserver: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: goroutineserver [-listen address]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q is one too many", flag.Arg(0))
	}

	server, err := socket.CreateServer(*address, nil)
	if err != nil {
		log.Fatal(err)
	}
	if own, err := server.LocalAddr(); err == nil {
		fmt.Println("listening on", own)
	}
	places := make(chan bool, maxClients)
	for {
		places <- true
		conn, peer, err := server.Accept()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("client", peer)
		go func() {
			if err := echo(conn); err != nil {
				log.Printf("client %v: %v", peer, err)
			}
			<-places
		}()
	}
}

func echo(conn *socket.Socket) error {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Recv(buf) // this goroutine waits, and no other one
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := conn.SendAll(buf[:n]); err != nil {
			return err
		}
	}
}
