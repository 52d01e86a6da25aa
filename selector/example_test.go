//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

// serveEcho sends every client back what it sends, all in one goroutine, until sel is closed.
func serveEcho(sel *selector.Selector, server *socket.Socket) error {
	server.SetBlocking(false)
	if err := sel.Register(server.FD(), selector.Read, nil); err != nil {
		return err
	}
	p := make([]byte, 64<<10)
	for {
		ready, err := sel.Select(-1)
		if err != nil {
			return err
		}
		for _, r := range ready {
			c, _ := r.Key.Data.(*client)
			if c == nil {
				accept(sel, server)
			} else if err := c.echo(sel, p); err != nil {
				sel.Forget(c.FD())
				c.Close()
			}
		}
	}
}

type client struct {
	*socket.Socket
	unsent []byte
}

func accept(sel *selector.Selector, server *socket.Socket) {
	conn, _, err := server.Accept()
	if err != nil {
		return // the client has gone again
	}
	conn.SetBlocking(false)
	if err := sel.Register(conn.FD(), selector.Read, &client{Socket: conn}); err != nil {
		conn.Close()
	}
}

// echo moves what can be moved without waiting. While something is unsent it waits to write, and does not read.
func (c *client) echo(sel *selector.Selector, p []byte) error {
	if len(c.unsent) == 0 {
		n, err := c.Recv(p)
		if errors.Is(err, socket.ErrWouldBlock) {
			return nil
		}
		if err != nil {
			return err
		}
		c.unsent = p[:n]
	}
	n, err := c.Send(c.unsent)
	if err != nil && !errors.Is(err, socket.ErrWouldBlock) {
		return err
	}
	if c.unsent = append([]byte(nil), c.unsent[n:]...); len(c.unsent) > 0 {
		return sel.Modify(c.FD(), selector.Write, c)
	}
	return sel.Modify(c.FD(), selector.Read, c)
}

// An echo server for any number of clients in one goroutine.
func Example() {
	server, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	sel, err := selector.New()
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- serveEcho(sel, server) }()

	address, err := server.LocalAddr()
	if err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		conn, err := socket.CreateConnection(context.Background(), address.String(), nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(conn, "client %d\n", i)
		conn.Shutdown(socket.SHUT_WR)
		reply, err := io.ReadAll(conn)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(string(reply))
		conn.Close()
	}
	sel.Close()
	fmt.Println(errors.Is(<-ended, selector.ErrClosed))

	// Output:
	// client 0
	// client 1
	// client 2
	// true
}
