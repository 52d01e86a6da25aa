package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

// What the clients of a relay say of themselves to another process.
const (
	relayBytes    = "relay of bytes"
	relayLines    = "relay of lines"
	relayMessages = "relay of messages"
	relayVersion  = 1
)

// A relayedState is a relayed as JSON.
type relayedState struct {
	Member  json.RawMessage
	Waiting []waitingState `json:",omitempty"`
}

// A waitingState is a message that the room has not taken.
type waitingState struct {
	Data []byte
	Kind websocket.Kind
}

// movesWith tells whether err says that another process serves the connection.
func movesWith(err error) bool {
	return errors.Is(err, switchboard.ErrMoved) || errors.Is(err, switchboard.ErrNotMoved)
}

func (me *relayed) move(kind string) (st switchboard.HandlerState, err error) {
	st, err = me.member.Move()
	if err != nil {
		return st, err
	}
	state := relayedState{Member: st.Data}
	for _, m := range me.waiting {
		state.Waiting = append(state.Waiting, waitingState{m.Data, m.Kind})
	}
	st.Kind, st.Version = kind, relayVersion
	st.Data, err = json.Marshal(state)
	return st, err
}

// moved makes a client of what move has said.
func (r *relay) movedClient(c *switchboard.Conn, link room.Link, kind string, from switchboard.HandlerState) (*relayed, error) {
	if from.Kind != kind || from.Version != relayVersion {
		return nil, fmt.Errorf("%q of version %d came over, this is %q of version %d", from.Kind, from.Version, kind, relayVersion)
	}
	var state relayedState
	if err := json.Unmarshal(from.Data, &state); err != nil {
		return nil, err
	}
	m, err := r.hub.MovedMember(link, r.form, state.Member)
	if err != nil {
		return nil, err
	}
	me := &relayed{Subscription: m.In(relayRoom), member: m}
	c.SetValue(me)
	if me.Subscription == nil {
		m.Ended(switchboard.ErrNotMoved)
		return nil, errors.New("a client that is not in the room came over")
	}
	for _, w := range state.Waiting {
		me.waiting = append(me.waiting, room.Message{Data: w.Data, Kind: w.Kind})
	}
	return me, nil
}

// Move implements switchboard.Mover.
func (r byteRelay) Move(c *switchboard.Conn) (switchboard.HandlerState, error) {
	return c.Value().(*relayed).move(relayBytes)
}

// Move implements switchboard.Mover.
func (r lineRelay) Move(c *switchboard.Conn) (switchboard.HandlerState, error) {
	return c.Value().(*relayed).move(relayLines)
}

// Move implements websocket.Mover.
func (r messageRelay) Move(c *websocket.Conn) (switchboard.HandlerState, error) {
	return c.Conn().Value().(*relayed).move(relayMessages)
}

// moved returns the Moved of the server whose connections h serves.
func (r *relay) moved(h switchboard.Handler) func(*switchboard.Conn, switchboard.HandlerState) (switchboard.Handler, error) {
	kind := relayBytes
	if _, ok := h.(lineRelay); ok {
		kind = relayLines
	}
	return func(c *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
		_, err := r.movedClient(c, room.Stream(c), kind, from)
		return h, err
	}
}

// messagesMoved is the MovedHandler of the Upgrader.
func (r *relay) messagesMoved(c *websocket.Conn, from switchboard.HandlerState) (websocket.Handler, error) {
	me, err := r.movedClient(c.Conn(), room.WebSocket(c), relayMessages, from)
	if err != nil {
		return nil, err
	}
	if len(me.waiting) > 0 {
		h := messageRelay{r}
		c.Pause()
		c.Conn().After(backlogPause, func() {
			if h.pass(c, me); len(me.waiting) == 0 {
				c.Resume()
			}
		})
	}
	return messageRelay{r}, nil
}
