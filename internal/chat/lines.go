package chat

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
)

var linesForm = &room.Form{
	Encode: func(b []byte, m *room.Message) []byte {
		switch p := m.Presence; {
		case p != nil:
			b = fmt.Appendf(b, "* %s:", m.Room)
			if len(p.Came) > 0 {
				b = fmt.Appendf(b, " here %s %s;", comeOrComes(len(p.Came)), strings.Join(allPlain(p.Came), ", "))
			}
			if len(p.Left) > 0 {
				b = fmt.Appendf(b, " %s left;", strings.Join(allPlain(p.Left), ", "))
			}
			if p.More {
				b = append(b, " and others;"...)
			}
			return fmt.Appendf(b, " %d %s here\n", p.Members, areOrIs(p.Members))
		case m.Missed > 0:
			return fmt.Appendf(b, "* %s: %d messages from other servers are missing here\n", m.Room, m.Missed)
		case m.Anew != nil:
			return fmt.Appendf(b, "* %s: what was said here is lost, and some messages may be missing\n", m.Room)
		}
		return fmt.Appendf(b, "[%s %s] %s: %s\n", m.Time.Format("15:04"), m.Room, publisher(m), textOf(m))
	},
	Dropped: func(b []byte, n uint64) []byte {
		return fmt.Appendf(b, "* you read too slowly: %d messages are missing here\n", n)
	},
}

const linesHelp = `* What you type is said in the room that you joined last. Commands:
*   /nick NAME    call yourself NAME
*   /join ROOM    go into a room as well, or back to it
*   /leave        leave the room
*   /who          who is here
*   /rooms        which rooms there are
*   /quit         hang up
`

// Lines returns the handler of connections that talk in lines: nc, or switchboard dial.
func (chat *Chat) Lines() switchboard.Handler { return chat.ofLines }

type lineClients struct {
	chat  *Chat
	split bufio.SplitFunc
}

// A lineClient is a client, and the room that it talks in.
type lineClient struct {
	client
	room string
}

// Opened implements switchboard.Opener.
func (h *lineClients) Opened(c *switchboard.Conn) error {
	me := h.client(c)
	if me.claimGuest(); me.member == nil {
		me.tell(errReplaced.Error())
		return io.EOF
	}
	fmt.Fprintf(c, "* You are %s. /help tells what you can do.\n", me.member.Name())
	me.enter(Lobby)
	return nil
}

// client returns a client without a name.
func (h *lineClients) client(c *switchboard.Conn) *lineClient {
	me := &lineClient{client: client{chat: h.chat, conn: c, link: room.Stream(c), form: h.chat.lines}}
	me.end = func(reason string) {
		me.tell(reason)
		c.Close()
	}
	c.SetValue(me)
	return me
}

// Data implements switchboard.Handler. It takes one line, so that who is paused is not heard further.
func (h *lineClients) Data(c *switchboard.Conn, p []byte) (int, error) { return h.one(c, p, false) }

// InputEnded implements switchboard.InputEnder: the last line counts without its end.
func (h *lineClients) InputEnded(c *switchboard.Conn, rest []byte) error {
	if len(rest) > 0 {
		if _, err := h.one(c, rest, true); err != nil {
			return err
		}
	}
	return io.EOF
}

func (h *lineClients) one(c *switchboard.Conn, p []byte, atEnd bool) (int, error) {
	n, line, err := h.split(p, atEnd)
	if err != nil {
		fmt.Fprintf(c, "* a line is at most %d bytes\n", LongestText)
		return n, err
	}
	if n > 0 {
		err = h.line(c, line)
	}
	return n, err
}

// Closed implements switchboard.Handler.
func (h *lineClients) Closed(c *switchboard.Conn, err error) {
	if me, ok := c.Value().(*lineClient); ok {
		me.gone(err)
	}
}

// enter joins a room and says who is there.
func (me *lineClient) enter(name string) {
	me.join(name, room.Position{}, func(s *room.Subscription, err error) {
		if err != nil {
			me.tell(err.Error())
			return
		}
		me.room = name
		names, n := s.Room().Members()
		me.tell(fmt.Sprintf("You are in the room %s. %d %s here: %s", name, n, areOrIs(n), list(names, n)))
		if text := me.namesake(s); text != "" {
			me.tell(text)
		}
	})
}

func list(names []string, n int) string {
	const most = 50
	text := strings.Join(allPlain(names[:min(len(names), most)]), ", ")
	if n > most {
		text += fmt.Sprintf(" and %d more", n-most)
	}
	return text
}

func (me *lineClient) tell(text string) { fmt.Fprintf(me.conn, "* %s\n", text) }

// line takes what somebody types.
func (h *lineClients) line(c *switchboard.Conn, line []byte) error {
	me := c.Value().(*lineClient)
	text := cleanText(string(line))
	if text == "" {
		return nil
	}
	if !strings.HasPrefix(text, "/") {
		if err := me.say(me.room, text, "", false); err != nil {
			me.tell(err.Error())
		}
		return nil
	}
	if !me.mayCommand() {
		me.tell("not so fast: wait a moment")
		return nil
	}
	command, rest, _ := strings.Cut(text, " ")
	switch rest = strings.TrimSpace(rest); command {
	case "/help":
		io.WriteString(c, linesHelp)
	case "/nick":
		if err := me.claim(rest, ""); err != nil {
			me.tell(err.Error())
		} else {
			me.tell("You are " + me.member.Name() + ".")
			me.namesakes(me.tell)
		}
	case "/join":
		me.enter(strings.ToLower(strings.TrimPrefix(rest, "#")))
	case "/leave":
		me.leave()
	case "/who":
		if s := me.member.In(me.room); s != nil {
			names, n := s.Room().Members()
			me.tell(fmt.Sprintf("%d %s in the room %s: %s", n, areOrIs(n), me.room, list(names, n)))
		} else {
			me.tell("You are in no room.")
		}
	case "/rooms":
		for i, r := range me.chat.hub.Rooms() {
			if i == 100 {
				break
			}
			me.tell(fmt.Sprintf("%s: %d", r.Name, r.Members))
		}
	case "/quit":
		return io.EOF
	default:
		me.tell("There is no " + command + ". /help tells what there is.")
	}
	return nil
}

// leave leaves the room that the client talks in, for the one before.
func (me *lineClient) leave() {
	s := me.member.In(me.room)
	if s == nil {
		me.tell("You are in no room.")
		return
	}
	s.Leave()
	left := me.room
	me.room = ""
	for _, s := range me.member.Joined() {
		me.room = s.Room().Name()
	}
	if me.room == "" {
		me.tell("You have left " + left + ", and are in no room.")
	} else {
		me.tell("You have left " + left + ", and talk in " + me.room + ".")
	}
}

func areOrIs(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func comeOrComes(n int) string {
	if n == 1 {
		return "comes"
	}
	return "come"
}
