// Deadpeers finds clients that are gone without having said so, and ends their connections.
//
// It teaches that TCP is silent while nobody sends: a client whose machine lost its power looks like one that has nothing to
// say. Three things find it. A deadline: a client that says nothing for -silence is asked "are you there?", and is gone if it
// does not answer in the same time. Keep-alive: the system asks in its place, every -silence. And a limit on how long sent bytes
// may stay without acknowledgement, where the system has one.
//
//	go run ./examples/deadpeers -listen 127.0.0.1:7007 -silence 5s
//	nc 127.0.0.1 7007            # and say nothing
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("deadpeers: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: deadpeers [-listen address] [-silence duration]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	silence := flag.Duration("silence", 5*time.Second, "")
	flag.Parse()
	if flag.NArg() > 0 || *silence <= 0 {
		log.Fatal("nothing but -listen and -silence, which is more than 0")
	}

	server, err := socket.CreateServer(*address, nil)
	if err != nil {
		log.Fatal(err)
	}
	if own, err := server.LocalAddr(); err == nil {
		fmt.Println("listening on", own)
	}
	for {
		conn, peer, err := server.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer conn.Close()
			if err := watch(conn, *silence); err != nil {
				fmt.Printf("client %v is gone: %v\n", peer, err)
			} else {
				fmt.Printf("client %v said goodbye\n", peer)
			}
		}()
	}
}

// watch echoes until the client ends in order, which is nil, or is found to be gone.
func watch(conn *socket.Socket, silence time.Duration) error {
	seconds := max(silence.Round(time.Second), time.Second) // keep-alive counts in seconds
	err := conn.SetKeepAlive(net.KeepAliveConfig{Enable: true, Idle: seconds, Interval: seconds, Count: 3})
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := conn.SetUserTimeout(3 * silence); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	conn.SetTimeout(silence)
	asked := false
	buf := make([]byte, 4096)
	for {
		n, err := conn.Recv(buf)
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && !asked:
			asked = true
			if _, err := conn.SendAll([]byte("are you there?\n")); err != nil {
				return err
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("silent for %v, and for %v after the question", silence, silence)
		case err != nil:
			return err
		default:
			asked = false
			if _, err := conn.SendAll(buf[:n]); err != nil {
				return err
			}
		}
	}
}
