// Rooms has people talk in rooms, each in a way of its own: with WebSockets, a room for each path, and in lines, in the lobby.
//
// It teaches package room: one form for each kind of connection, a policy for those who read too slowly, and a history for those
// who come, who may say where they were: ?after=EPOCH-NUMBER, as every message shows it.
//
//	go run ./examples/rooms -listen 127.0.0.1:8080 -lines 127.0.0.1:7007
//	switchboard dial ws://127.0.0.1:8080/lobby    # in one terminal
//	nc 127.0.0.1 7007                             # in another
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/websocket"
)

var hub = &room.Hub{
	Options:  room.Options{Policy: room.DropOldest, Queue: 64 << 10, History: room.History{Messages: 100}},
	MaxRooms: 100,
}

var texts = &room.Form{Encode: func(b []byte, m *room.Message) []byte {
	return fmt.Appendf(b, "%d %s: %s", m.Seq, m.From, m.Data)
}}

var lines = &room.Form{
	Encode:  func(b []byte, m *room.Message) []byte { return fmt.Appendf(b, "%s: %s\n", m.From, m.Data) },
	Dropped: func(b []byte, n uint64) []byte { return fmt.Appendf(b, "* you missed %d messages\n", n) },
}

// A visitor is the handler of one WebSocket.
type visitor struct {
	room string
	back room.Return
	here *room.Subscription
}

func (v *visitor) Opened(c *websocket.Conn) (err error) {
	member := hub.Member(room.WebSocket(c), texts, c.Conn().RemoteAddr().String())
	if v.here, err = member.Join(v.room, &v.back); err == nil {
		start := v.here.Start()
		c.Write(websocket.Text, fmt.Appendf(nil, "* room %s %s-%d", v.room, start.Epoch, start.Seq))
	}
	return err
}

func (v *visitor) Message(c *websocket.Conn, kind websocket.Kind, p []byte) error {
	_, err := v.here.Publish(room.Message{From: c.Conn().RemoteAddr().String(), Kind: kind, Data: bytes.Clone(p)})
	return err
}

func (v *visitor) Closed(*websocket.Conn, error) {
	if v.here != nil {
		v.here.Leave()
	}
}

// choose finds the room in the path, and where the visitor was.
func choose(r *http.Request, _ http.Header) (websocket.Handler, error) {
	v := &visitor{room: strings.TrimPrefix(r.URL.Path, "/"), back: room.Return{Last: 10}}
	epoch, seq, _ := strings.Cut(r.URL.Query().Get("after"), "-")
	if v.back.After.Epoch = epoch; epoch != "" {
		fmt.Sscan(seq, &v.back.After.Seq)
	}
	return v, nil
}

// A caller is the handler of connections that talk in lines.
type caller struct{ *switchboard.FrameHandler }

func (caller) Opened(c *switchboard.Conn) error {
	here, err := hub.Member(room.Stream(c), lines, c.RemoteAddr().String()).Join("lobby", &room.Return{Last: 10})
	c.SetValue(here)
	return err
}

func (caller) Closed(c *switchboard.Conn, _ error) {
	if here, _ := c.Value().(*room.Subscription); here != nil {
		here.Leave()
	}
}

func say(c *switchboard.Conn, line []byte) error {
	_, err := c.Value().(*room.Subscription).PublishToOthers(room.Message{From: c.RemoteAddr().String(), Data: bytes.Clone(line)})
	return err
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("rooms: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: rooms [-listen address] [-lines address]") }
	web := flag.String("listen", "127.0.0.1:8080", "")
	text := flag.String("lines", "127.0.0.1:7007", "")
	flag.Parse()
	callers := caller{switchboard.Frames(bufio.ScanLines, say)}
	go serve(*text, "talk in lines at", func(*switchboard.Conn) (switchboard.Handler, error) { return callers, nil })
	serve(*web, "listening on", (&websocket.Upgrader{Check: choose}).Accept)
}

func serve(address, what string, accept func(*switchboard.Conn) (switchboard.Handler, error)) {
	l, err := socket.CreateServer(address, nil)
	if err != nil {
		log.Fatal(err)
	}
	at, _ := l.LocalAddr()
	fmt.Println(what, at)
	log.Fatal((&switchboard.Server{Accept: accept}).ServeSocket(l))
}
