package chat

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

//go:embed page.html
var page []byte

// policy lets the page do what it does, and nothing else: its one script and its one style, and a connection to where it came
// from.
var policy = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	hashOf("<script>", "</script>"), hashOf("<style>", "</style>"))

func hashOf(begin, end string) string {
	_, rest, _ := strings.Cut(string(page), begin)
	text, _, _ := strings.Cut(rest, end)
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Handler returns what answers browsers: the page at /, and its WebSocket at /chat. loops is the server for WebSockets whose
// HTTP server has no loops.
func (chat *Chat) Handler(loops *switchboard.Server) http.Handler {
	chat.upgrader.Server = loops
	mux := http.NewServeMux()
	mux.Handle("GET /chat", chat.upgrader)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Length", strconv.Itoa(len(page)))
		w.Write(page)
	})
	return mux
}

// A request is what a page asks for.
type request struct {
	Type  string `json:"type"` // hello, say, join, leave, nick, rooms
	Name  string `json:"name"`
	Token string `json:"token"` // a secret of the page's: who has it may take the name over
	Room  string `json:"room"`
	Text  string `json:"text"`
	ID    string `json:"id"` // by which the page knows its own message again

	Rooms []struct { // in which it was
		Room  string `json:"room"`
		Epoch string `json:"epoch"`
		Seq   uint64 `json:"seq"`
	} `json:"rooms"`
}

// An event is what a page is told.
type event struct {
	Type    string   `json:"type"` // welcome, joined, left, message, presence, gap, anew, notice, dropped, rooms, error
	Room    string   `json:"room,omitempty"`
	Name    string   `json:"name,omitempty"`
	Epoch   string   `json:"epoch,omitempty"`
	Seq     uint64   `json:"seq,omitempty"`
	Gap     bool     `json:"gap,omitempty"`
	From    string   `json:"from,omitempty"`
	Text    string   `json:"text,omitempty"`
	ID      string   `json:"id,omitempty"`
	Time    int64    `json:"time,omitempty"` // milliseconds since 1970
	Names   []string `json:"names,omitempty"`
	Came    []string `json:"came,omitempty"`
	Left    []string `json:"left,omitempty"`
	Members int      `json:"members,omitempty"`
	More    bool     `json:"more,omitempty"`
	N       uint64   `json:"n,omitempty"`

	Rooms []roomInfo `json:"rooms,omitempty"`
}

type roomInfo struct {
	Room    string `json:"room"`
	Members int    `json:"members"`
}

func (e event) encode() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // there is nothing in it that JSON does not know
	}
	return b
}

var webForm = &room.Form{
	Encode: func(b []byte, m *room.Message) []byte {
		e := event{Type: "message", Room: m.Room, Seq: m.Seq, From: publisher(m), Text: textOf(m), ID: m.Key, Time: m.Time.UnixMilli()}
		switch p := m.Presence; {
		case p != nil:
			e = event{Type: "presence", Room: m.Room, Came: allPlain(p.Came), Left: allPlain(p.Left), Members: p.Members, More: p.More}
		case m.Missed > 0:
			e = event{Type: "gap", Room: m.Room, N: m.Missed}
		case m.Anew != nil:
			e = event{Type: "anew", Room: m.Room, Epoch: m.Anew.Epoch, Seq: m.Anew.Seq}
		}
		return append(b, e.encode()...)
	},
	Dropped: func(b []byte, n uint64) []byte { return append(b, event{Type: "dropped", N: n}.encode()...) },
}

// webClients is the handler of the pages' WebSockets.
type webClients struct{ chat *Chat }

func (w webClients) Opened(c *websocket.Conn) error {
	w.client(c).expectHello()
	return nil
}

// client returns a client without a name.
func (w webClients) client(c *websocket.Conn) *client {
	me := &client{chat: w.chat, conn: c.Conn(), link: room.WebSocket(c), form: w.chat.web,
		end: func(reason string) { c.Close(websocket.CodePolicy, reason) }}
	c.Conn().SetValue(me)
	return me
}

// expectHello ends a client that does not say its name.
func (c *client) expectHello() {
	c.conn.After(namePause, func() {
		if c.member == nil {
			c.end("no hello came")
		}
	})
}

func (w webClients) Closed(c *websocket.Conn, err error) {
	if me, ok := c.Conn().Value().(*client); ok {
		me.gone(err)
	}
}

func (w webClients) Message(c *websocket.Conn, kind websocket.Kind, p []byte) error {
	me := c.Conn().Value().(*client)
	var ask request
	if kind != websocket.Text || json.Unmarshal(p, &ask) != nil {
		return &websocket.CloseError{Code: websocket.CodePolicy, Reason: "this is not of the chat's protocol"}
	}
	if len(ask.ID) > 64 || len(ask.Token) > 64 || len(ask.Rooms) > 16 {
		return &websocket.CloseError{Code: websocket.CodePolicy, Reason: "a field is too long"}
	}
	tell := func(e event) error { return c.Write(websocket.Text, e.encode()) }
	complain := func(err error) error {
		return tell(event{Type: "error", Text: err.Error(), ID: ask.ID, Room: ask.Room})
	}
	switch {
	case me.member == nil && ask.Type != "hello":
		return &websocket.CloseError{Code: websocket.CodePolicy, Reason: "hello comes first"}
	case me.member == nil && w.chat.hub.HandedOver():
		return &websocket.CloseError{Code: websocket.CodeRestart, Reason: "the server restarts"}
	case ask.Type == "say":
		if err := me.say(ask.Room, ask.Text, ask.ID, true); err != nil {
			return complain(err)
		}
		return nil
	case !me.mayCommand():
		return complain(fmt.Errorf("not so fast: wait a moment"))
	}
	switch ask.Type {
	case "hello", "nick":
		if err := me.claim(ask.Name, ask.Token); err != nil {
			return tell(event{Type: "error", Name: ask.Name, Text: err.Error()})
		}
		if err := tell(event{Type: "welcome", Name: me.member.Name()}); err != nil {
			return err
		}
		if ask.Type == "nick" {
			me.namesakes(func(text string) { tell(event{Type: "notice", Text: text}) })
			return nil
		}
		for _, was := range ask.Rooms {
			me.tellJoined(was.Room, room.Position{Epoch: was.Epoch, Seq: was.Seq}, tell)
		}
	case "join":
		me.tellJoined(ask.Room, room.Position{}, tell)
	case "leave":
		if s := me.member.In(ask.Room); s != nil {
			s.Leave()
		}
		return tell(event{Type: "left", Room: ask.Room})
	case "rooms":
		e := event{Type: "rooms"}
		for _, r := range me.chat.hub.Rooms() {
			if e.Rooms = append(e.Rooms, roomInfo{r.Name, r.Members}); len(e.Rooms) == 100 {
				break
			}
		}
		return tell(e)
	default:
		return complain(fmt.Errorf("there is no %q", ask.Type))
	}
	return nil
}

// tellJoined joins a room and tells the page of it, before what it has missed comes. tell fails if the connection is over.
func (c *client) tellJoined(name string, after room.Position, tell func(event) error) {
	c.join(name, after, func(s *room.Subscription, err error) {
		if err != nil {
			tell(event{Type: "error", Room: name, Text: err.Error()})
			return
		}
		names, n := s.Room().Members()
		at := s.Start()
		tell(event{Type: "joined", Room: name, Epoch: at.Epoch, Seq: at.Seq - uint64(s.Replayed()), Gap: s.Gap(), Names: allPlain(names), Members: n, N: uint64(s.Replayed())})
		if text := c.namesake(s); text != "" && after.Epoch == "" { // who comes back may see its own shadow
			tell(event{Type: "notice", Room: name, Text: text})
		}
	})
}
