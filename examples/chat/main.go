// Chat passes each line that a client sends on to all the others.
//
// It teaches Messages (a handler of messages), Conns (all connections, from any goroutine), Write from any goroutine, and
// what to do about a client that does not read: its queue is bounded. When it is full the client misses lines; it costs the
// server no more memory.
//
//	go run ./examples/chat -listen 127.0.0.1:7007
//	nc 127.0.0.1 7007         # in two terminals
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// tell writes a line to everybody but the one who speaks. Lines of two speakers may reach two clients in different orders.
func tell(speaker *switchboard.Conn, format string, args ...any) {
	line := fmt.Appendf(nil, format+"\n", args...)
	for member := range speaker.Server().Conns() {
		if member == speaker {
			continue
		}
		if _, err := member.Write(line); errors.Is(err, switchboard.ErrQueueFull) {
			log.Printf("%v reads too slowly and misses a line", member.RemoteAddr())
		}
	}
}

// A member is the handler of all connections: lines by Messages, the beginning and the end of each here.
type member struct{ *switchboard.FrameHandler }

func (member) Opened(c *switchboard.Conn) error {
	tell(c, "* %v is here", c.RemoteAddr())
	return nil
}

func (member) Closed(c *switchboard.Conn, _ error) { tell(c, "* %v has left", c.RemoteAddr()) }

func main() {
	log.SetFlags(0)
	log.SetPrefix("chat: ")
	address := flag.String("listen", "127.0.0.1:7007", "address to listen on")
	flag.Parse()
	server := &switchboard.Server{
		Handler: member{switchboard.Messages(frame.Lines(4096), func(c *switchboard.Conn, line []byte) error {
			tell(c, "%v: %s", c.RemoteAddr(), line)
			return nil
		})},
		Listening: func(at net.Addr) { fmt.Println("listening on", at) },
	}
	log.Fatal(server.ListenAndServe(*address))
}
