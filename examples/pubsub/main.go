// Pubsub passes what is published under a topic on to all who subscribed to it. Its commands are lines: sub TOPIC, unsub
// TOPIC and pub TOPIC TEXT.
//
// It teaches a value of one's own for each connection (SetValue and Value), WriteMessage from other loops, and a rule for
// subscribers that read too slowly: one whose queue is full is sent away with a reset, so that it knows that it missed
// something.
//
//	go run ./examples/pubsub -listen 127.0.0.1:7007
//	nc 127.0.0.1 7007         # in two terminals: sub news; pub news hello
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

var lines = frame.Lines(4096)

// A client is the value of its connection: the topics that it has subscribed to.
type client struct{ topics map[string]bool }

const mostTopics = 100 // of one client

// A broker is the handler of all connections. Every loop uses the subscribers, so they have a lock.
type broker struct {
	*switchboard.FrameHandler
	mu          sync.Mutex
	subscribers map[string]map[*switchboard.Conn]bool
}

// command serves one line.
func (b *broker) command(c *switchboard.Conn, line []byte) error {
	verb, rest, _ := strings.Cut(string(line), " ")
	topic, text, _ := strings.Cut(rest, " ")
	me := switchboard.Value[*client](c)
	switch {
	case topic == "":
		return c.WriteMessage(lines, []byte("error: sub TOPIC, unsub TOPIC or pub TOPIC TEXT"))
	case verb == "sub" && len(me.topics) >= mostTopics:
		return c.WriteMessage(lines, []byte("error: too many topics"))
	case verb == "sub":
		b.subscribe(c, me, topic)
		return c.WriteMessage(lines, []byte("ok"))
	case verb == "unsub":
		b.unsubscribe(c, me, topic)
		return c.WriteMessage(lines, []byte("ok"))
	case verb == "pub":
		return c.WriteMessage(lines, fmt.Appendf(nil, "sent to %d", b.publish(topic, text)))
	}
	return c.WriteMessage(lines, []byte("error: unknown command"))
}

func (b *broker) subscribe(c *switchboard.Conn, me *client, topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subscribers[topic] == nil {
		b.subscribers[topic] = map[*switchboard.Conn]bool{}
	}
	b.subscribers[topic][c], me.topics[topic] = true, true
}

func (b *broker) unsubscribe(c *switchboard.Conn, me *client, topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(me.topics, topic)
	if delete(b.subscribers[topic], c); len(b.subscribers[topic]) == 0 {
		delete(b.subscribers, topic)
	}
}

// publish tells how many subscribers took the text.
func (b *broker) publish(topic, text string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for subscriber := range b.subscribers[topic] {
		if err := subscriber.WriteMessage(lines, fmt.Appendf(nil, "%s: %s", topic, text)); err != nil {
			subscriber.Abort() // it reads too slowly, or is gone already
		} else {
			n++
		}
	}
	return n
}

func (b *broker) Opened(c *switchboard.Conn) error {
	c.SetValue(&client{map[string]bool{}})
	return nil
}

func (b *broker) Closed(c *switchboard.Conn, _ error) {
	me := switchboard.Value[*client](c)
	for topic := range me.topics {
		b.unsubscribe(c, me, topic)
	}
}

func main() {
	address := flag.String("listen", "127.0.0.1:7007", "address to listen on")
	flag.Parse()
	b := &broker{subscribers: map[string]map[*switchboard.Conn]bool{}}
	b.FrameHandler = switchboard.Messages(lines, b.command)
	server := &switchboard.Server{Handler: b, Listening: func(at net.Addr) { fmt.Println("listening on", at) }}
	log.Fatal(server.ListenAndServe(*address))
}
