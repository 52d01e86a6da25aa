package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// What a chat and its clients say of themselves to another process.
const (
	chatKind     = "switchboard/chat"
	linesKind    = "switchboard/chat/lines"
	webKind      = "switchboard/chat/web"
	movedVersion = 1
)

// A chatState is a Chat as JSON.
type chatState struct {
	Guest int
	Lines []string    // addresses
	Names []nameState // that are taken
	Rooms switchboard.HandlerState
}

type nameState struct{ Name, Token string }

// A clientState is a client as JSON. Without a Member it has no name yet.
type clientState struct {
	Member   json.RawMessage `json:",omitempty"`
	Name     string          `json:",omitempty"`
	Token    string          `json:",omitempty"`
	Room     string          `json:",omitempty"` // in which a client of lines talks
	Commands float64
	At       time.Time
}

// Hand implements switchboard.Shared.
func (chat *Chat) Hand(s *switchboard.Server) (st switchboard.HandlerState, file *os.File, err error) {
	if chat.config.Log != nil { // clients come back by themselves: the other process has the same rooms
		chat.mu.Lock()
		defer chat.mu.Unlock()
		st.Kind, st.Version = chatKind, movedVersion
		st.Data, err = json.Marshal(chatState{Guest: chat.guest, Lines: chat.addresses})
		return st, nil, err
	}
	rooms, file, err := chat.hub.Hand(s)
	if err != nil {
		return st, nil, err
	}
	chat.mu.Lock()
	defer chat.mu.Unlock()
	state := chatState{Guest: chat.guest, Lines: chat.addresses, Rooms: rooms}
	for _, c := range chat.taken {
		if c.conn != nil {
			state.Names = append(state.Names, nameState{c.name, c.token})
		}
	}
	st.Kind, st.Version = chatKind, movedVersion
	if st.Data, err = json.Marshal(state); err != nil {
		file.Close()
		chat.hub.Handed(false)
	}
	return st, file, err
}

// Handed implements switchboard.Shared.
func (chat *Chat) Handed(moved bool) { chat.hub.Handed(moved) }

// Take implements switchboard.Shared.
func (chat *Chat) Take(from switchboard.HandlerState, file *os.File) error {
	var state chatState
	err := check(chatKind, from)
	if err == nil {
		err = json.Unmarshal(from.Data, &state)
	}
	if err != nil {
		if file != nil {
			file.Close()
		}
		return err
	}
	chat.mu.Lock()
	chat.guest, chat.addresses = state.Guest, state.Lines
	for _, n := range state.Names {
		chat.taken[skeleton(n.Name)] = &client{chat: chat, name: n.Name, token: n.Token}
	}
	chat.mu.Unlock()
	if file == nil && state.Rooms.Kind == "" {
		return nil
	}
	return chat.hub.Take(state.Rooms, file)
}

// Taken implements switchboard.Shared.
func (chat *Chat) Taken(moved bool) { chat.hub.Taken(moved) }

func check(kind string, from switchboard.HandlerState) error {
	if from.Kind != kind || from.Version != movedVersion {
		return fmt.Errorf("%q of version %d came over, this is %q of version %d", from.Kind, from.Version, kind, movedVersion)
	}
	return nil
}

// AddLines has connections to an address talk in lines: see Other. It is called before any of them comes.
func (chat *Chat) AddLines(address net.Addr) {
	chat.mu.Lock()
	defer chat.mu.Unlock()
	chat.addresses = append(chat.addresses, address.Network()+" "+address.String())
}

// Other is the field of web.Server: it serves those who talk in lines.
func (chat *Chat) Other(c *switchboard.Conn) (switchboard.Handler, error) {
	chat.mu.Lock()
	defer chat.mu.Unlock()
	at := c.LocalAddr()
	if at == nil {
		return nil, net.ErrClosed // it has ended
	}
	to, isTCP := at.(*net.TCPAddr)
	for _, text := range chat.addresses {
		if text == at.Network()+" "+at.String() {
			return chat.ofLines, nil
		}
		var ip, port string
		if isTCP && at.Network() == text[:min(len(text), len("tcp"))] {
			ip, port, _ = net.SplitHostPort(text[len("tcp "):])
		}
		if all := net.ParseIP(ip); all != nil && all.IsUnspecified() && port == fmt.Sprint(to.Port) {
			return chat.ofLines, nil
		}
	}
	return nil, nil
}

// Moved is the Moved of the Server.
func (chat *Chat) Moved(c *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
	if from.Kind != linesKind {
		return chat.upgrader.Moved(c, from)
	}
	me := chat.ofLines.client(c)
	state, err := me.restore(linesKind, from)
	if err != nil {
		return nil, err
	}
	if me.member == nil {
		return nil, errors.New("a client without a name came over")
	}
	me.room = state.Room
	return chat.ofLines, nil
}

// movedWeb is the MovedHandler of the Upgrader.
func (chat *Chat) movedWeb(c *websocket.Conn, from switchboard.HandlerState) (websocket.Handler, error) {
	h := webClients{chat}
	me := h.client(c)
	if _, err := me.restore(webKind, from); err != nil {
		return nil, err
	}
	if me.member == nil {
		me.expectHello()
	}
	return h, nil
}

// Move implements switchboard.Mover.
func (h *lineClients) Move(c *switchboard.Conn) (switchboard.HandlerState, error) {
	me := c.Value().(*lineClient)
	return me.move(linesKind, me.room)
}

// Move implements websocket.Mover.
func (w webClients) Move(c *websocket.Conn) (switchboard.HandlerState, error) {
	return c.Conn().Value().(*client).move(webKind, "")
}

func (c *client) move(kind, in string) (st switchboard.HandlerState, err error) {
	state := clientState{Name: c.name, Token: c.token, Room: in, Commands: c.commands, At: c.at}
	if c.member != nil {
		if st, err = c.member.Move(); err != nil {
			return st, err
		}
		state.Member = st.Data
	}
	st.Kind, st.Version, st.Rearms = kind, movedVersion, true
	st.Data, err = json.Marshal(state)
	return st, err
}

// restore makes of c what move has said.
func (c *client) restore(kind string, from switchboard.HandlerState) (state clientState, err error) {
	if err = check(kind, from); err == nil {
		err = json.Unmarshal(from.Data, &state)
	}
	if err != nil {
		return state, err
	}
	c.name, c.token, c.commands, c.at = state.Name, state.Token, state.Commands, state.At
	c.conn.After(time.Second, c.link.Resume) // it may have sent too much
	if len(state.Member) == 0 {
		return state, nil
	}
	if c.member, err = c.chat.hub.MovedMember(c.link, c.form, state.Member); err != nil {
		return state, err
	}
	c.chat.mu.Lock()
	defer c.chat.mu.Unlock()
	if key := skeleton(c.name); c.chat.taken[key] != nil && c.chat.taken[key].name == c.name {
		c.chat.taken[key] = c
	}
	return state, nil
}
