package proxy

import (
	"io"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// Gateway returns the handler of WebSockets that are joined with targets which speak no WebSocket: what is in a client's
// messages goes to its target as it is, however it is cut into messages, and what the target says comes in binary ones.
// When the target ends, the WebSocket is closed, and when the WebSocket ends, so does the target's connection.
func (p *Proxy) Gateway() websocket.Handler { return gateway{p} }

// A gateway is a websocket.Receiver: no message is too long for it.
type gateway struct{ proxy *Proxy }

// longestMessage is how many bytes of a stream go into one message at most.
const longestMessage = 32 << 10

// mostHeader is how many bytes the header of a message of longestMessage has at most.
const mostHeader = 8

// oneMessage returns as much of p as goes into one message of c, whose queue may be smaller than longestMessage.
func oneMessage(c *switchboard.Conn, p []byte) []byte {
	most := longestMessage
	if limit := c.Server().QueueLimit; limit > 0 {
		most = max(min(most, limit-mostHeader), 1)
	}
	return p[:min(len(p), most)]
}

// Opened implements websocket.Opener.
func (g gateway) Opened(c *websocket.Conn) error {
	sc := c.Conn()
	ln := g.proxy.newLine(sc)
	ln.socket = c
	c.KeepReading(true) // its input fills the queue to the target, not its own, and that pauses it
	c.Pause()
	ln.connect()
	return nil
}

// lineOf returns the line of a client.
func lineOf(c *websocket.Conn) *line {
	ln, _ := c.Conn().Value().(*line)
	return ln
}

// Part implements websocket.Receiver.
func (g gateway) Part(c *websocket.Conn, _ websocket.Kind, p []byte, _ bool) error {
	ln := lineOf(c)
	if ln.back == nil { // the target is gone, and the client hears of it
		return nil
	}
	if _, err := ln.back.Write(p); err != nil { // a full queue has paused the client long before it refuses
		return err
	}
	if ln.back.Full() {
		c.Pause()
	}
	return nil
}

// Message implements websocket.Handler. Part is called instead.
func (g gateway) Message(*websocket.Conn, websocket.Kind, []byte) error { return nil }

// Drained implements websocket.Drainer: the target is read again.
func (g gateway) Drained(c *websocket.Conn) {
	if ln := lineOf(c); ln.joined && ln.back != nil {
		ln.back.Resume()
	}
}

// Leaving implements websocket.Leaver, as a line's client does.
func (gateway) Leaving(*websocket.Conn) {}

// Closed implements websocket.Handler.
func (g gateway) Closed(c *websocket.Conn, err error) {
	ln := lineOf(c)
	if ln == nil {
		return
	}
	ln.gone = true
	ln.proxy.lines.remove(ln)
	switch {
	case ln.back == nil:
	case ln.joined && err == nil:
		ln.back.Close()
	default:
		ln.back.Abort()
	}
}

// open joins a client with its target, which answers.
func (g gateway) open(ln *line, back *switchboard.Conn) {
	ln.back = back
	back.SetHandler((*plain)(ln))
	back.KeepReading(true) // as the client: or a target that reads no more until its answer is taken would never be read
	ln.socket.Resume()
}

// plain is a line as the handler of the connection to its target, once they are joined.
type plain line

// Data implements switchboard.Handler.
func (b *plain) Data(back *switchboard.Conn, p []byte) (int, error) {
	p = oneMessage(back, p)
	err := b.socket.Write(websocket.Binary, p)
	if b.socket.Full() {
		back.Pause() // until the client's Drained
	}
	if err == switchboard.ErrQueueFull {
		return 0, nil
	}
	return len(p), err
}

// InputEnded implements switchboard.InputEnder.
func (b *plain) InputEnded(_ *switchboard.Conn, rest []byte) error { return io.EOF }

// Drained implements switchboard.Drainer: the client is read again.
func (b *plain) Drained(*switchboard.Conn) { b.socket.Resume() }

// Leaving implements switchboard.Leaver, as the client's does.
func (b *plain) Leaving(*switchboard.Conn) {}

// Closed implements switchboard.Handler.
func (b *plain) Closed(_ *switchboard.Conn, err error) {
	b.back = nil
	b.target.left()
	if err == nil {
		b.socket.Close(websocket.CodeNormal, "")
	} else {
		b.socket.Close(websocket.CodeBadGateway, "the connection to the target failed")
	}
}
