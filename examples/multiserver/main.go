// Multiserver serves many clients in one goroutine on a Selector, which keeps each connection's own data.
//
// It teaches register, modify and unregister: what to wait for is told once and then when it changes, instead of with
// every call, and with epoll or kqueue under the Selector the idle connections cost nothing. The data that comes back
// with each event is the connection itself, so that the server needs no table.
//
//	go run ./examples/multiserver -listen 127.0.0.1:7007
//	go run ./examples/multiclient -to 127.0.0.1:7007 hello world
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

const (
	maxClients = 500      // the next ones wait in the backlog
	maxUnsent  = 64 << 10 // bytes: with so many unsent, a client is not read
)

type client struct {
	*socket.Socket
	peer   socket.Addr
	unsent []byte
	ended  bool // the client will send no more
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("multiserver: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: multiserver [-listen address]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q is one too many", flag.Arg(0))
	}

	server, err := socket.CreateServer(*address, nil)
	if err != nil {
		log.Fatal(err)
	}
	server.SetBlocking(false)
	sel, err := selector.New()
	if err != nil {
		log.Fatal(err)
	}
	if err := sel.Register(server.FD(), selector.Read, nil); err != nil {
		log.Fatal(err)
	}
	if own, err := server.LocalAddr(); err == nil {
		fmt.Println("listening on", own, "with", sel.Mechanism())
	}

	buf := make([]byte, 16<<10)
	for {
		ready, err := sel.Select(-1)
		if err != nil {
			log.Fatal(err)
		}
		for _, r := range ready {
			c, ok := r.Key.Data.(*client)
			if !ok {
				if err := accept(sel, server); err != nil {
					log.Fatal(err)
				}
				continue
			}
			if err := serve(sel, c, r, buf); err != nil {
				if err != io.EOF {
					log.Printf("client %v: %v", c.peer, err)
				}
				if err := drop(sel, server, c); err != nil {
					log.Fatal(err)
				}
			}
		}
	}
}

func accept(sel *selector.Selector, server *socket.Socket) error {
	conn, peer, err := server.Accept()
	if errors.Is(err, socket.ErrWouldBlock) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("client", peer)
	conn.SetBlocking(false)
	if err := sel.Register(conn.FD(), selector.Read, &client{Socket: conn, peer: peer}); err != nil {
		return err
	}
	if sel.Len() > maxClients { // the server is one of them
		_, err = sel.Unregister(server.FD())
	}
	return err
}

func drop(sel *selector.Selector, server *socket.Socket, c *client) error {
	if _, err := sel.Unregister(c.FD()); err != nil { // before the close: after it, another file may get the number
		return err
	}
	c.Close()
	if err := sel.Register(server.FD(), selector.Read, nil); !errors.Is(err, selector.ErrRegistered) {
		return err
	}
	return nil
}

// serve does what can be done without waiting, and says what to wait for next. Its error is io.EOF when the client has
// ended and has everything.
func serve(sel *selector.Selector, c *client, r selector.Ready, buf []byte) error {
	if r.Events&selector.Read != 0 {
		switch n, err := c.Recv(buf); {
		case err == io.EOF:
			c.ended = true
		case errors.Is(err, socket.ErrWouldBlock):
		case err != nil:
			return err
		default:
			c.unsent = append(c.unsent, buf[:n]...)
		}
	}
	if len(c.unsent) > 0 {
		switch n, err := c.Send(c.unsent); {
		case errors.Is(err, socket.ErrWouldBlock):
		case err != nil:
			return err
		default:
			c.unsent = c.unsent[n:]
		}
	}

	var events selector.Events
	if !c.ended && len(c.unsent) < maxUnsent {
		events |= selector.Read
	}
	if len(c.unsent) > 0 {
		events |= selector.Write
	}
	if events == 0 {
		return io.EOF
	}
	return sel.Modify(r.Key.FD, events, c)
}
