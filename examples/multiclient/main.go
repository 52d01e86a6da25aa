// Multiclient opens several connections at once in one goroutine, sends every message on each, and checks the echo.
//
// It teaches that a Selector serves clients as it serves servers: a non-blocking connect has ended when the socket
// becomes writable, and SocketError tells how; each connection's data says how far it has come.
//
//	go run ./examples/multiserver -listen 127.0.0.1:7007
//	go run ./examples/multiclient -to 127.0.0.1:7007 -n 3 hello world
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

type connection struct {
	*socket.Socket
	number    int
	connected bool
	unsent    []byte
	received  []byte
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("multiclient: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: multiclient [-to address] [-n connections] [-timeout duration] message...")
	}
	address := flag.String("to", "127.0.0.1:7007", "")
	n := flag.Int("n", 2, "")
	timeout := flag.Duration("timeout", 10*time.Second, "")
	flag.Parse()
	if flag.NArg() == 0 || *n < 1 {
		log.Fatal("nothing to do: give at least one message, and -n at least 1")
	}
	message := []byte(strings.Join(flag.Args(), "\n") + "\n")

	to, err := socket.ParseAddr(*address)
	if err != nil {
		log.Fatal(err)
	}
	sel, err := selector.New()
	if err != nil {
		log.Fatal(err)
	}
	for number := 1; number <= *n; number++ {
		if err := connect(sel, to, &connection{number: number, unsent: message}); err != nil {
			log.Fatal(err)
		}
	}
	buf := make([]byte, 16<<10)
	for sel.Len() > 0 {
		ready, err := sel.Select(*timeout)
		if err != nil {
			log.Fatal(err)
		}
		if len(ready) == 0 {
			log.Fatalf("nothing came for %v, with %d connections waiting", *timeout, sel.Len())
		}
		for _, r := range ready {
			c := r.Key.Data.(*connection)
			err := converse(sel, c, r.Events, buf)
			if err == io.EOF && !bytes.Equal(c.received, message) {
				err = fmt.Errorf("%d bytes came back of %d, or others", len(c.received), len(message))
			}
			if err == io.EOF {
				fmt.Printf("connection %d: %d bytes there and back\n", c.number, len(c.received))
				sel.Unregister(r.Key.FD)
				c.Close()
			} else if err != nil {
				log.Fatalf("connection %d: %v", c.number, err)
			}
		}
	}
}

func connect(sel *selector.Selector, to socket.Addr, c *connection) (err error) {
	if c.Socket, err = socket.New(to.Family(), socket.SOCK_STREAM, 0); err != nil {
		return err
	}
	c.SetBlocking(false)
	if err := c.Connect(to); err != nil && !errors.Is(err, socket.ErrInProgress) {
		return err
	}
	return sel.Register(c.FD(), selector.Read|selector.Write, c)
}

// converse goes as far as it can without waiting: connect, send, end of sending, receive until the server ends too.
func converse(sel *selector.Selector, c *connection, events selector.Events, buf []byte) error {
	if events&selector.Write != 0 {
		if !c.connected {
			if err := c.SocketError(); err != nil {
				return err
			}
			c.connected = true
		}
		n, err := c.Send(c.unsent)
		if err != nil && !errors.Is(err, socket.ErrWouldBlock) {
			return err
		}
		if c.unsent = c.unsent[n:]; len(c.unsent) == 0 {
			if err := c.Shutdown(socket.SHUT_WR); err != nil {
				return err
			}
			if err := sel.Modify(c.FD(), selector.Read, c); err != nil {
				return err
			}
		}
	}
	if events&selector.Read != 0 {
		n, err := c.Recv(buf)
		if err != nil && !errors.Is(err, socket.ErrWouldBlock) {
			return err
		}
		c.received = append(c.received, buf[:n]...)
	}
	return nil
}
