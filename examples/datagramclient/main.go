// Datagramclient sends a datagram, waits for the reply, and tries again when none comes.
//
// It teaches what a client must do itself when nobody promises delivery: wait for a limited time, repeat, give up.
// A connected datagram socket has one peer: it takes datagrams from no other, and learns when nobody listens there.
//
//	go run ./examples/datagramserver -listen 127.0.0.1:7007
//	go run ./examples/datagramclient -to 127.0.0.1:7007 hello
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("datagramclient: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: datagramclient [-to address] [-tries number] [-wait duration] message...")
	}
	address := flag.String("to", "127.0.0.1:7007", "")
	tries := flag.Int("tries", 3, "")
	wait := flag.Duration("wait", time.Second, "")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("no message to send")
	}

	to, err := socket.ParseAddr(*address)
	if err != nil {
		log.Fatal(err)
	}
	sock, err := socket.New(to.Family(), socket.SOCK_DGRAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer sock.Close()
	if err := sock.Connect(to); err != nil {
		log.Fatal(err)
	}
	sock.SetTimeout(*wait)
	reply, err := ask(sock, []byte(strings.Join(flag.Args(), " ")), *tries)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply)
}

func ask(sock *socket.Socket, message []byte, tries int) ([]byte, error) {
	buf := make([]byte, 65535)
	for range tries {
		if _, err := sock.Send(message); err != nil {
			return nil, err
		}
		n, err := sock.Recv(buf)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return buf[:n], err
		}
	}
	return nil, fmt.Errorf("no reply to %d datagrams", tries)
}
