// Datagramserver sends every datagram back to where it came from.
//
// It teaches the other kind of socket: no connection, no accept, one socket for all clients. Each message arrives whole
// or not at all, and names its sender; they may be lost, doubled, or overtake each other.
//
//	go run ./examples/datagramserver -listen 127.0.0.1:7007
//	go run ./examples/datagramclient -to 127.0.0.1:7007 hello
package main

import (
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("datagramserver: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: datagramserver [-listen address]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q is one too many", flag.Arg(0))
	}
	if err := serve(*address); err != nil {
		log.Fatal(err)
	}
}

func serve(address string) error {
	own, err := socket.ParseAddr(address)
	if err != nil {
		return err
	}
	sock, err := socket.New(own.Family(), socket.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer sock.Close()
	if err := sock.Bind(own); err != nil {
		return err
	}
	if own, err = sock.LocalAddr(); err != nil {
		return err
	}
	fmt.Println("listening on", own)

	buf := make([]byte, 65535) // no datagram is larger: what does not fit is cut off
	for {
		n, peer, err := sock.RecvFrom(buf)
		if err != nil {
			return err
		}
		fmt.Printf("%d bytes from %v\n", n, peer)
		if _, err := sock.SendTo(buf[:n], peer); err != nil {
			log.Print(err) // this client's trouble is not the next one's
		}
	}
}
