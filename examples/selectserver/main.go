// Selectserver serves many clients in one goroutine: select tells which sockets are ready, and none is waited for.
//
// It teaches the three lists of select and the queue of outgoing messages that non-blocking sockets need: a client
// that does not read must not stop the others. A socket is in the read list while there is room in its queue, in the
// write list only while there is something in it (a socket that could be written is ready nearly always, and select
// would never wait), and always in the exceptional list, which tells of urgent data.
//
//	go run ./examples/selectserver -listen 127.0.0.1:7007
//	go run ./examples/multiclient -to 127.0.0.1:7007 hello world
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

const (
	maxClients = 500 // the next ones wait in the backlog
	maxQueue   = 64  // messages of at most 4096 bytes
)

type client struct {
	*socket.Socket
	peer  socket.Addr
	queue [][]byte // messages that the client has yet to take
	ended bool     // the client will send no more
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("selectserver: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: selectserver [-listen address]") }
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
	if own, err := server.LocalAddr(); err == nil {
		fmt.Println("listening on", own)
	}

	clients := make(map[int]*client) // by descriptor
	for {
		if err := turn(server, clients); err != nil {
			log.Fatal(err)
		}
	}
}

// turn waits until something is ready, and does what can be done without waiting.
func turn(server *socket.Socket, clients map[int]*client) error {
	var read, write, except []int
	if len(clients) < maxClients {
		read = append(read, server.FD())
	}
	for fd, c := range clients {
		if !c.ended && len(c.queue) < maxQueue {
			read = append(read, fd)
		}
		if len(c.queue) > 0 {
			write = append(write, fd)
		}
		except = append(except, fd)
	}
	read, write, except, err := selector.Select(read, write, except, -1)
	if err != nil {
		return err
	}

	each := func(fds []int, do func(*client) error) {
		for _, fd := range fds {
			c := clients[fd]
			if c == nil {
				continue // the server itself, or a client that has just gone
			}
			if err := do(c); err != nil {
				if err != io.EOF {
					log.Printf("client %v: %v", c.peer, err)
				}
				delete(clients, fd)
				c.Close()
			}
		}
	}
	each(except, urgent)
	each(read, receive)
	each(write, send)

	// Last, since a new client may get the descriptor of one that has just gone.
	if slices.Contains(read, server.FD()) {
		return accept(server, clients)
	}
	return nil
}

func accept(server *socket.Socket, clients map[int]*client) error {
	conn, peer, err := server.Accept()
	if errors.Is(err, socket.ErrWouldBlock) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("client", peer)
	conn.SetBlocking(false)
	clients[conn.FD()] = &client{Socket: conn, peer: peer}
	return nil
}

// receive puts one message into the queue. Its error is io.EOF when the client can be forgotten in peace.
func receive(c *client) error {
	buf := make([]byte, 4096)
	n, err := c.Recv(buf)
	switch {
	case err == io.EOF && len(c.queue) > 0:
		c.ended = true // it may still read what is in its queue
	case errors.Is(err, socket.ErrWouldBlock):
	case err != nil:
		return err
	default:
		c.queue = append(c.queue, buf[:n])
	}
	return nil
}

// send sends what the system takes at once of the first message in the queue.
func send(c *client) error {
	n, err := c.Send(c.queue[0])
	if errors.Is(err, socket.ErrWouldBlock) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.queue[0] = c.queue[0][n:]; len(c.queue[0]) == 0 {
		c.queue = c.queue[1:]
	}
	if c.ended && len(c.queue) == 0 {
		return io.EOF
	}
	return nil
}

// urgent takes the one byte that TCP can send ahead of all others.
func urgent(c *client) error {
	var b [1]byte
	_, err := c.RecvFlags(b[:], socket.MSG_OOB)
	if errors.Is(err, socket.ErrWouldBlock) {
		return nil // announced, and still on its way
	}
	if err != nil {
		return err
	}
	fmt.Printf("client %v: urgent %q\n", c.peer, b[0])
	return nil
}
