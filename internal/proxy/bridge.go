package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A bridge is the line of a client to a target that speaks WebSocket, while the client does not: the handler of the
// WebSocket. What the client says goes to the target in binary messages, and what is in the target's messages goes to the
// client as it is. A bridge is the reverse of a gateway.
type bridge line

// Opened implements websocket.Opener: the target answers.
func (b *bridge) Opened(far *websocket.Conn) error {
	ln := (*line)(b)
	ln.proxy.targets.answered(ln.target)
	if ln.gone {
		far.Abort()
		return nil
	}
	ln.joinedWith(far.Conn())
	ln.client.SetHandler((*unframed)(ln))
	far.KeepReading(true) // the input of each fills the queue of the other, and that pauses it
	ln.client.KeepReading(true)
	ln.client.Resume()
	return nil
}

// Part implements websocket.Receiver.
func (b *bridge) Part(far *websocket.Conn, _ websocket.Kind, p []byte, _ bool) error {
	if b.gone {
		return nil
	}
	b.answered = true
	if b.release != nil {
		b.heard = time.Now()
	}
	b.closeWhenSilent(far)
	_, err := b.client.Write(p) // a full queue has paused the target long before it refuses
	if b.client.Full() {
		far.Pause()
	}
	return err
}

// Message implements websocket.Handler. Part is called instead.
func (b *bridge) Message(*websocket.Conn, websocket.Kind, []byte) error { return nil }

// Drained implements websocket.Drainer: the client is read again.
func (b *bridge) Drained(*websocket.Conn) {
	if !b.gone {
		b.client.Resume()
	}
}

// Leaving implements websocket.Leaver, as a line's client does.
func (b *bridge) Leaving(*websocket.Conn) {}

// WebSocket has no half-close: a target that reads a Close frame can answer nothing any more. So a target is not told at once that
// its client has ended its output. It is sent lastPing; by its pong it has read all before. When it has answered as well, and
// then has said nothing for Proxy.CloseAfter, it is closed, and the client's connection ends in order. A target that has said
// nothing since the client last did may still be at work on its answer: the client's half-close timeout, a reset, is for that.
var lastPing = []byte("end of input")

// Pinged implements websocket.Pinger.
func (b *bridge) Pinged(*websocket.Conn, []byte) {}

// Ponged implements websocket.Pinger.
func (b *bridge) Ponged(far *websocket.Conn, p []byte) {
	if bytes.Equal(p, lastPing) {
		b.allRead = true
		b.closeWhenSilent(far)
	}
}

// closeWhenSilent closes a target, which has read all that its client said and has answered, when it is silent for long enough.
// From here on that decides, and no other timeout of the two connections.
func (b *bridge) closeWhenSilent(far *websocket.Conn) {
	after := b.proxy.CloseAfter
	if after == 0 || !b.allRead || !b.answered || b.release != nil {
		return
	}
	client, target := b.client.Hold(), far.Conn().Hold()
	b.release = func() {
		client()
		target()
	}
	b.heard = time.Now()
	var look func()
	look = func() {
		if far.Conn().Buffered() > 0 || !b.gone && b.client.Queued() > 0 { // there is more to say, or the client has not all
			b.heard = time.Now()
		}
		if left := after - time.Since(b.heard); left > 0 {
			far.Conn().After(left, look)
			return
		}
		far.Close(websocket.CodeNormal, "")
	}
	far.Conn().After(after, look)
}

// Closed implements websocket.Handler.
func (b *bridge) Closed(far *websocket.Conn, err error) {
	ln := (*line)(b)
	ln.ended(err)
	if ln.release != nil {
		ln.release()
	}
	switch {
	case !ln.joined || ln.gone:
	case err == nil && !far.Missed(): // what was missed is a part of the answer
		ln.client.Close()
	default:
		ln.client.Abort()
	}
}

// unframed is a line as the handler of its client, once that is joined with a target that speaks WebSocket.
type unframed line

// Data implements switchboard.Handler.
func (u *unframed) Data(client *switchboard.Conn, p []byte) (int, error) {
	if u.far == nil {
		return len(p), nil
	}
	p = oneMessage(client, p)
	u.answered = false
	err := u.far.Write(websocket.Binary, p)
	if u.far.Full() {
		client.Pause() // until the target's Drained
	}
	switch {
	case err == switchboard.ErrQueueFull:
		return 0, nil
	case errors.Is(err, net.ErrClosed): // the target reads no more, and ends soon
		return len(p), nil
	}
	return len(p), err
}

// InputEnded implements switchboard.InputEnder.
func (u *unframed) InputEnded(*switchboard.Conn, []byte) error {
	if u.far == nil {
		return io.EOF
	}
	if u.far.Ping(lastPing) == switchboard.ErrQueueFull {
		u.allRead = true // as far as can be known; another error: the target has ended, which is told soon
		(*bridge)(u).closeWhenSilent(u.far)
	}
	return nil
}

// Drained implements switchboard.Drainer: the target is read again.
func (u *unframed) Drained(*switchboard.Conn) {
	if u.far != nil {
		u.far.Resume()
	}
}

// Leaving implements switchboard.Leaver, as before they are joined.
func (u *unframed) Leaving(*switchboard.Conn) {}

// Closed implements switchboard.Handler.
func (u *unframed) Closed(_ *switchboard.Conn, err error) {
	u.gone = true
	u.proxy.lines.remove((*line)(u))
	switch {
	case u.far == nil:
	case err == nil:
		u.far.Close(websocket.CodeNormal, "")
	default:
		u.far.Abort()
	}
}

// probeTimeout limits the opening handshake of a probe.
const probeTimeout = 10 * time.Second

// A socketProbe is a probe of a target that speaks WebSocket.
type socketProbe struct {
	probe
	cancel context.CancelFunc
}

// Opened implements websocket.Opener.
func (h *socketProbe) Opened(c *websocket.Conn) error {
	h.pool.answered(h.target)
	return io.EOF
}

// Message implements websocket.Handler.
func (h *socketProbe) Message(*websocket.Conn, websocket.Kind, []byte) error { return nil }

// Closed implements websocket.Handler.
func (h *socketProbe) Closed(_ *websocket.Conn, err error) {
	h.cancel()
	h.probe.Closed(nil, err)
}
