// Echoserver serves one client at a time with blocking calls: the first server that everyone writes.
//
// It teaches the calls of a server in their order: socket, bind, listen, accept, recv, send, close. While it serves
// one client, the others are connected already and wait in the backlog until it accepts them. See selectserver and
// multiserver for two ways to serve them all at once.
//
//	go run ./examples/echoserver -listen 127.0.0.1:7007
//	go run ./examples/echoclient -to 127.0.0.1:7007 hello
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("echoserver: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: echoserver [-listen address]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q is one too many", flag.Arg(0))
	}

	server, err := listen(*address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, peer, err := server.Accept() // waits for a client
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("client", peer)
		if err := echo(conn); err != nil {
			log.Print(err) // this client's trouble is not the next one's
		}
	}
}

func listen(address string) (*socket.Socket, error) {
	own, err := socket.ParseAddr(address)
	if err != nil {
		return nil, err
	}
	server, err := socket.New(own.Family(), socket.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	// Without it, a server that ended cannot start again for a minute: its old connections still hold the address.
	if err := server.SetReuseAddr(true); err != nil {
		return nil, err
	}
	if err := server.Bind(own); err != nil {
		return nil, err
	}
	if err := server.Listen(16); err != nil {
		return nil, err
	}
	if own, err = server.LocalAddr(); err == nil { // port 0 has become a real one
		fmt.Println("listening on", own)
	}
	return server, err
}

func echo(conn *socket.Socket) error {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Recv(buf) // waits for some bytes: what one Send sent may need several Recvs
		if err == io.EOF {
			return nil // the client has sent all it wants to send
		}
		if err != nil {
			return err
		}
		if _, err := conn.SendAll(buf[:n]); err != nil {
			return err
		}
	}
}
