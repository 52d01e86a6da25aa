// Links keeps thousands of connections to one server, sends a line on each now and then, and connects again what is lost.
//
// It teaches Dial (connections that cost no goroutine), After (a timer on the loop), and Opened and Closed of dialled ones.
//
//	go run ./examples/echo -listen 127.0.0.1:7007
//	go run ./examples/links -to 127.0.0.1:7007 -n 5000
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

var (
	address = flag.String("to", "127.0.0.1:7007", "address to connect to")
	links   = flag.Int("n", 5000, "connections")
	every   = flag.Duration("every", 10*time.Second, "time between two lines of a connection")

	up, answers, lost atomic.Int64
	lines             = frame.Lines(100)
	server            switchboard.Server // whose loops serve the links; it accepts nobody
)

// A link is the handler of one connection after another.
type link struct {
	*switchboard.FrameHandler
	wait time.Duration // before it connects again
	open bool
}

func (l *link) dial() {
	if _, err := server.Dial(context.Background(), *address, l); err != nil {
		log.Fatal(err) // the address cannot be one
	}
}

func (l *link) Opened(c *switchboard.Conn) error {
	l.open, l.wait = true, 0
	up.Add(1)
	return c.WriteMessage(lines, []byte("ping"))
}

func (l *link) answer(c *switchboard.Conn, _ []byte) error {
	answers.Add(1)
	c.After(*every, func() { c.WriteMessage(lines, []byte("ping")) })
	return nil
}

func (l *link) Closed(*switchboard.Conn, error) {
	if l.open {
		l.open = false
		up.Add(-1)
		lost.Add(1)
	}
	l.wait = min(2*l.wait+100*time.Millisecond, 10*time.Second)
	time.AfterFunc(l.wait, l.dial)
}

func main() {
	flag.Parse()
	for range *links {
		l := new(link)
		l.FrameHandler = switchboard.Messages(lines, l.answer)
		l.dial()
	}
	for range time.Tick(time.Second) {
		fmt.Printf("%d up, %d answers, %d lost\n", up.Load(), answers.Load(), lost.Load())
	}
}
