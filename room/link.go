package room

import (
	"cmp"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A Link is the connection of a member, as a room needs it. Stream and WebSocket return those of switchboard's
// connections. All its methods except Loop are called on its Loop.
type Link interface {
	// Loop returns the loop of the link. Links with the same Loop, compared with ==, are served together.
	Loop() Loop

	// Send takes all of these payloads, at most 16, or none while the peer has not taken earlier ones. It must not
	// keep the slice.
	Send(payloads []*Payload) (taken bool, err error)

	// WhenSent calls f once, when Send takes payloads again. It does not call f if the link ends before.
	WhenSent(f func())

	// Join returns a Payload that sends all these payloads, one after the other.
	Join(payloads []*Payload) *Payload

	// Expel ends the connection because its peer reads too slowly. reason is text for the peer.
	Expel(reason string)

	// Pause stops reading the peer, until Resume.
	Pause()
	Resume()
}

// A bounded is a Link whose Send takes no more than so many bytes at once, however little waits.
type bounded interface{ most() int }

// mostAtOnce is what the loops of a server take for one connection at once; zero is the default, which is more than a room
// ever sends at once.
func mostAtOnce(s *switchboard.Server) int { return cmp.Or(s.QueueLimit, mostJoined) }

// frameHeader is at least what a Link adds to a payload.
const frameHeader = 16

// A Loop runs functions one after the other. Do schedules f and does not wait for it.
type Loop interface {
	Do(f func()) error
}

// A loop is one of a switchboard.Server's.
type loop struct {
	server *switchboard.Server
	number int
}

func (l loop) Do(f func()) error { return l.server.Do(l.number, f) }

// Stream returns the Link of a connection of bytes. Expelling its member resets the connection.
func Stream(c *switchboard.Conn) Link { return stream{c} }

type stream struct{ c *switchboard.Conn }

func (s stream) Loop() Loop { return loop{s.c.Server(), s.c.Loop()} }

func (s stream) Send(payloads []*Payload) (bool, error) {
	var room [16][]byte
	bufs := room[:0]
	for _, p := range payloads {
		bufs = append(bufs, p.Bytes)
	}
	return s.c.WriteShared(bufs...)
}

func (s stream) Join(payloads []*Payload) *Payload {
	all := new(Payload)
	for _, p := range payloads {
		all.Bytes = append(all.Bytes, p.Bytes...)
	}
	return all
}

func (s stream) most() int { return mostAtOnce(s.c.Server()) }

func (s stream) WhenSent(f func()) { s.c.WhenSent(f) }
func (s stream) Expel(string)      { s.c.Abort() }
func (s stream) Pause()            { s.c.Pause() }
func (s stream) Resume()           { s.c.Resume() }

// WebSocket returns the Link of a WebSocket. Expelling its member closes the WebSocket with CodePolicy.
func WebSocket(c *websocket.Conn) Link { return webSocket{c} }

type webSocket struct{ c *websocket.Conn }

func (s webSocket) Loop() Loop { return loop{s.c.Conn().Server(), s.c.Conn().Loop()} }

func (s webSocket) Send(payloads []*Payload) (bool, error) {
	var room [16]*websocket.Prepared
	list := room[:0]
	for _, p := range payloads {
		list = append(list, p.prepared())
	}
	return s.c.WriteShared(list...)
}

func (s webSocket) Join(payloads []*Payload) *Payload {
	var list []*websocket.Prepared
	for _, p := range payloads {
		list = append(list, p.prepared())
	}
	return &Payload{frames: websocket.Join(list...)}
}

func (s webSocket) most() int { return mostAtOnce(s.c.Conn().Server()) }

func (s webSocket) WhenSent(f func())   { s.c.Conn().WhenSent(f) }
func (s webSocket) Expel(reason string) { s.c.Close(websocket.CodePolicy, reason) }
func (s webSocket) Pause()              { s.c.Pause() }
func (s webSocket) Resume()             { s.c.Resume() }
