// Chat passes each line that a client says on to all the others.
//
// It teaches Frames (a handler of messages), Write from any goroutine, and what to do about a client that does not read:
// its queue is bounded, and when it is full the client misses lines instead of costing the server memory.
//
//	go run ./examples/chat -listen 127.0.0.1:7007
//	nc 127.0.0.1 7007         # in two terminals
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"sync"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
)

// A room is everybody who is here. The loops share it, so it has a lock.
type room struct {
	mu     sync.Mutex
	guests map[*switchboard.Conn]bool
}

// tell writes to everybody but the one who speaks.
func (r *room) tell(speaker *switchboard.Conn, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for guest := range r.guests {
		if guest == speaker {
			continue
		}
		if _, err := guest.Write([]byte(line)); errors.Is(err, switchboard.ErrQueueFull) {
			log.Printf("%v reads too slowly and misses a line", guest.RemoteAddr())
		}
	}
}

func (r *room) enter(c *switchboard.Conn) {
	r.mu.Lock()
	r.guests[c] = true
	r.mu.Unlock()
	r.tell(c, fmt.Sprintf("* %v is here\n", c.RemoteAddr()))
}

// A guest is the handler of all connections: lines by Frames, and the end of each.
type guest struct {
	*switchboard.FrameHandler
	room *room
}

func (g guest) Closed(c *switchboard.Conn, err error) {
	g.room.mu.Lock()
	delete(g.room.guests, c)
	g.room.mu.Unlock()
	g.room.tell(c, fmt.Sprintf("* %v has left\n", c.RemoteAddr()))
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("chat: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: chat [-listen address]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	flag.Parse()

	r := &room{guests: make(map[*switchboard.Conn]bool)}
	h := guest{room: r, FrameHandler: switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, line []byte) error {
		r.tell(c, fmt.Sprintf("%v: %s\n", c.RemoteAddr(), line))
		return nil
	})}
	server := &switchboard.Server{Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
		r.enter(c)
		return h, nil
	}}

	l, err := socket.CreateServer(*address, nil)
	if err != nil {
		log.Fatal(err)
	}
	at, err := l.LocalAddr()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", at)
	log.Fatal(server.ServeSocket(l))
}
