package room_test

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/room"
)

// A talker is the handler of connections that exchange lines: each line goes to all members of the lobby.
type talker struct {
	*switchboard.FrameHandler
	hub  *room.Hub
	form *room.Form
}

// Opened joins the lobby. A new member gets the last 10 messages.
func (t talker) Opened(c *switchboard.Conn) error {
	lobby, err := t.hub.Member(room.Stream(c), t.form, c.RemoteAddr().String()).Join("lobby", &room.Return{Last: 10})
	c.SetValue(lobby)
	return err
}

func (talker) Closed(c *switchboard.Conn, _ error) {
	if lobby := switchboard.Value[*room.Subscription](c); lobby != nil {
		lobby.Leave()
	}
}

// A chat of lines. Two clients are in one room; what one says, both get.
func Example() {
	say := func(c *switchboard.Conn, line []byte) error {
		_, err := switchboard.Value[*room.Subscription](c).Publish(room.Message{Data: bytes.Clone(line)})
		return err
	}
	handler := talker{
		FrameHandler: switchboard.Messages(frame.Lines(1000), say),
		hub:          &room.Hub{Options: room.Options{Policy: room.DropOldest, History: room.History{Messages: 100}}},
		form: &room.Form{
			Encode:  func(b []byte, m *room.Message) []byte { return fmt.Appendf(b, "%d %s\n", m.Seq, m.Data) },
			Dropped: func(b []byte, n uint64) []byte { return fmt.Appendf(b, "you missed %d messages\n", n) },
		},
	}
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{Handler: handler, Listening: func(addr net.Addr) { listening <- addr }}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()
	at := (<-listening).String()

	for _, text := range []string{"hello", "hello again"} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintln(c, text)
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				log.Fatal(err)
			}
			fmt.Print(line)
			if bytes.HasSuffix([]byte(line), []byte(" "+text+"\n")) {
				break
			}
		}
	}
	// Output:
	// 1 hello
	// 1 hello
	// 2 hello again
}
