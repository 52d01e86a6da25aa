// Package chat is rooms in which people talk: from a page in a browser, and from a terminal with lines.
package chat

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/metrics"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

const (
	// LongestText is how many bytes a message may have.
	LongestText = 2000

	// LongestMessage is how many bytes a WebSocket message may have, and so a connection's queue above Server.HighWater.
	LongestMessage = 16 << 10

	// Lobby is the room in which everybody begins.
	Lobby = "lobby"

	// MostRooms is how many rooms there may be.
	MostRooms = 1000

	shown       = 50 // messages that who comes is shown
	namePause   = 10 * time.Second
	commandRate = 5 // a second
	commandMost = 20
)

// Config is what a Chat is made with.
type Config struct {
	History room.History
	Store   room.Store
	Bridge  room.Bridge
	Log     room.Log
	Logger  *slog.Logger
	Origins []string // of pages that may connect, besides the server's own
}

// A Chat is rooms, and who is there.
type Chat struct {
	config Config
	hub    *room.Hub
	web    *room.Form
	lines  *room.Form

	ofLines  *lineClients
	upgrader *websocket.Upgrader

	mu        sync.Mutex
	taken     map[string]*client // by skeleton of the name; those without a conn are in the process before this one
	guest     int
	addresses []string // of lines
}

// New returns a Chat.
func New(config Config) *Chat {
	config.Logger = cmp.Or(config.Logger, slog.Default())
	chat := &Chat{
		config: config,
		taken:  map[string]*client{},
		web:    webForm,
		lines:  linesForm,
		hub: &room.Hub{
			Options: room.Options{History: config.History, Presence: 300 * time.Millisecond},
			Configure: func(name string) (room.Options, error) {
				return room.Options{History: config.History, Presence: 300 * time.Millisecond}, checkRoom(name)
			},
			MaxRooms: MostRooms,
			Rate:     3,
			Burst:    15,
			Store:    config.Store,
			Bridge:   config.Bridge,
			Log:      config.Log,
			Logger:   config.Logger,
		},
	}
	chat.ofLines = &lineClients{chat, frame.Lines(LongestText + 100).Unterminated().Split}
	chat.upgrader = &websocket.Upgrader{
		Handler:      webClients{chat},
		MovedHandler: chat.movedWeb,
		Origins:      config.Origins,
		Options:      websocket.Options{MaxMessage: LongestMessage, MaxControl: 20, PingInterval: 25 * time.Second, Deflate: &websocket.Deflate{}},
	}
	return chat
}

// Figures is the source of those of the rooms.
func (c *Chat) Figures() metrics.Source { return metrics.Rooms(c.hub) }

// A client is somebody who is connected. It belongs to its loop, but for the name and token, which Chat.mu guards.
type client struct {
	chat   *Chat
	conn   *switchboard.Conn
	link   room.Link
	form   *room.Form
	end    func(reason string) // ends the connection
	member *room.Member        // nil before it has a name

	name  string
	token string

	commands float64 // that it may give at once
	at       time.Time
}

var (
	errTaken    = errors.New("this name is taken, or looks like one that is")
	errReplaced = errors.New("the server is being replaced by a newer one: try again in a moment")
)

// claim gives a client a name. Whoever has it already and knows the same token is ended: it is the same person, come back.
func (c *client) claim(text, token string) error {
	name, err := cleanName(text)
	if err != nil {
		return err
	}
	key := skeleton(name)
	chat := c.chat
	if chat.hub.HandedOver() {
		return errReplaced
	}
	chat.mu.Lock()
	other := chat.taken[key]
	if other != nil && other.conn == nil && !chat.hub.Divided() {
		other = nil // its process has ended
	}
	if other != nil && other != c && (token == "" || token != other.token) {
		chat.mu.Unlock()
		return errTaken
	}
	if was := skeleton(c.name); chat.taken[was] == c { // else another connection has taken it over
		delete(chat.taken, was)
	}
	c.name, c.token = name, token
	chat.taken[key] = c
	chat.mu.Unlock()
	if other != nil && other != c && other.conn != nil {
		other.conn.Do(func() { other.end("you are here with another connection") })
	}
	if c.member != nil {
		c.member.Rename(name)
	} else {
		c.member = chat.hub.Member(c.link, c.form, name)
	}
	return nil
}

// claimGuest gives a client some name.
func (c *client) claimGuest() {
	for !c.chat.hub.HandedOver() {
		c.chat.mu.Lock()
		c.chat.guest++
		n := c.chat.guest
		c.chat.mu.Unlock()
		if c.claim(fmt.Sprintf("guest-%d", 1000+n), "") == nil {
			return
		}
	}
}

// gone is called when the connection has ended.
func (c *client) gone(err error) {
	if c.member == nil {
		return
	}
	c.member.Ended(err)
	c.chat.mu.Lock()
	if key := skeleton(c.name); c.chat.taken[key] == c {
		delete(c.chat.taken, key)
		if errors.Is(err, switchboard.ErrNotMoved) {
			c.chat.taken[key] = &client{chat: c.chat, name: c.name, token: c.token}
		}
	}
	c.chat.mu.Unlock()
}

// mayCommand tells whether the client has not sent too much. It is not read for a while if it has.
func (c *client) mayCommand() bool {
	now := time.Now()
	if c.at.IsZero() {
		c.commands = commandMost
	} else {
		c.commands = min(commandMost, c.commands+now.Sub(c.at).Seconds()*commandRate)
	}
	c.at = now
	if c.commands < 1 {
		c.link.Pause()
		c.conn.After(time.Second, c.link.Resume)
		return false
	}
	c.commands--
	return true
}

// say publishes what the client says. echo is whether it is told itself.
func (c *client) say(name, text, id string, echo bool) error {
	s := c.member.In(name)
	if s == nil {
		if name == "" {
			return errors.New("you are in no room: /join ROOM")
		}
		return fmt.Errorf("you are not in the room %q", name)
	}
	if text = cleanText(text); text == "" {
		return errors.New("there is no text in it")
	}
	if len(text) > LongestText {
		return fmt.Errorf("a message is at most %d bytes", LongestText)
	}
	publish := s.Publish
	if !echo {
		publish = s.PublishToOthers
	}
	m := room.Message{From: c.member.Name(), Key: id, Data: []byte(text)}
	if id != "" && c.token != "" { // it may be said again, here or to another server
		m.ID = c.token + "/" + id
	}
	_, err := publish(m)
	switch {
	case errors.Is(err, room.ErrRate):
		c.link.Pause()
		c.conn.After(time.Second/2, c.link.Resume)
		return errors.New("not so fast: this was not sent")
	case err != nil:
		c.chat.config.Logger.Warn("a message is not passed on", "room", name, "error", err)
		return errors.New("the server could not take this message")
	}
	return nil
}

// join puts the client into a room, and calls f on the loop, at once or when the room is open.
func (c *client) join(name string, after room.Position, f func(*room.Subscription, error)) {
	if err := checkRoom(name); err != nil {
		f(nil, err)
		return
	}
	c.member.JoinThen(name, &room.Return{After: after, Last: shown}, func(s *room.Subscription, err error) {
		if errors.Is(err, room.ErrLeft) { // its connection has ended
			return
		}
		f(c.joined(name, s, err))
	})
}

// joined says what has become of join.
func (c *client) joined(name string, s *room.Subscription, err error) (*room.Subscription, error) {
	switch {
	case errors.Is(err, room.ErrJoined):
		return c.member.In(name), nil
	case errors.Is(err, room.ErrHandedOver):
		return nil, errReplaced
	case errors.Is(err, room.ErrTooManyJoined):
		return nil, errors.New("you are in too many rooms: leave one first")
	case errors.Is(err, room.ErrTooManyRooms), errors.Is(err, room.ErrFull):
		return nil, errors.New("there are too many rooms, or people in this one")
	case err != nil:
		c.chat.config.Logger.Warn("a room cannot be opened", "room", name, "error", err)
		return nil, errors.New("the server could not open this room")
	}
	return s, nil
}
