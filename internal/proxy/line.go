package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/proxyproto"
	"github.com/switchboard-go/switchboard/websocket"
)

// A line is a client and the target that it is joined with, or is to be. It is the handler of the client's connection
// until the two are joined.
type line struct {
	proxy  *Proxy
	client *switchboard.Conn
	socket *websocket.Conn   // the client's, if it speaks WebSocket
	target *target           // that is connected, or connecting
	back   *switchboard.Conn // to target, with a socket only
	far    *websocket.Conn   // to target, if that speaks WebSocket
	name   string            // that the client asks for, by SNI
	tried  []*target         // that did not answer

	received *proxyproto.Header // before what the client says, to be passed on; nil: none

	answered bool      // far has said something since the client last did
	allRead  bool      // far has read all that the client said before it ended its output
	heard    time.Time // when far last said something, once its silence counts
	release  func()    // of the Holds of the two connections, from then on

	moved uint64 // tells it from others while it is handed over; 0: not chosen yet

	joined bool
	gone   bool // the client is

	// Under the mu of lines.
	before, after *line
	answers       *switchboard.Conn // to target, from when they are joined
}

// redial is after how long a client for which there was no descriptor is tried again.
const redial = 100 * time.Millisecond

// dial connects to the next target that was not tried for this client.
func (ln *line) dial() error {
	for {
		t := ln.proxy.targets.pick(ln.name, ln.tried)
		switch {
		case t != nil:
		case !ln.proxy.targets.has(ln.name):
			return noTargetFor(ln.name)
		case len(ln.tried) == 0:
			return fmt.Errorf("all targets are drained: %s", ln.proxy.targets)
		default:
			return fmt.Errorf("no target answers: %s", ln.proxy.targets)
		}
		var err error
		if t.URL != "" {
			ln.far, err = t.Dialer.DialFrom(context.Background(), ln.client, t.URL, (*bridge)(ln))
		} else if ln.socket != nil {
			ln.back, err = t.dial(ln.client, (*backend)(ln))
		} else {
			err = ln.client.DialPipe(context.Background(), t.Address, t.dialTLS(), (*backend)(ln))
		}
		if err == nil {
			ln.target = t
			return nil
		}
		if errors.Is(err, switchboard.ErrServerClosed) { // no fault of the target's
			t.left()
			return err
		}
		ln.failed(t, err)
	}
}

// failed takes note that a target could not be connected to.
func (ln *line) failed(t *target, err error) {
	t.left()
	ln.tried = append(ln.tried, t)
	ln.proxy.targets.failed(t, err)
}

// connect is dial for a client that is accepted already.
func (ln *line) connect() {
	if err := ln.dial(); err != nil {
		ln.refuse(err)
	}
}

// refuse ends the client with a reset: an orderly end would look like an empty answer.
func (ln *line) refuse(err error) {
	ln.proxy.unserved.tell(ln.proxy.log, err)
	if ln.socket != nil {
		ln.socket.Resume()
		ln.socket.Close(websocket.CodeBadGateway, "no target answers")
		return
	}
	ln.client.Abort()
}

// Data implements switchboard.Handler. DialPipe keeps the connection paused until the two are joined.
func (ln *line) Data(*switchboard.Conn, []byte) (int, error) { return 0, nil }

// Leaving implements switchboard.Leaver: the proxy cannot know whether an answer is awaited, so a line lives on until one
// of its ends hangs up, or no target answers.
func (ln *line) Leaving(*switchboard.Conn) {}

// Closed implements switchboard.Handler.
func (ln *line) Closed(*switchboard.Conn, error) {
	ln.gone = true
	ln.proxy.lines.remove(ln)
	if ln.far != nil {
		ln.far.Abort()
	}
}

// A backend is the line as the handler of the connection to its target.
type backend line

// Opened implements switchboard.Opener: the target answers. DialPipe joins the two connections, or the gateway does.
func (b *backend) Opened(back *switchboard.Conn) error {
	ln := (*line)(b)
	ln.proxy.targets.answered(ln.target)
	if ln.gone {
		return switchboard.ErrAborted
	}
	if version := ln.proxy.targets.announce; version > 0 {
		if err := ln.target.announce(back, proxyproto.Forward(ln.client, ln.received, version)); err != nil {
			return err
		}
		ln.received = nil
	}
	ln.joinedWith(back)
	if ln.socket != nil {
		gateway{ln.proxy}.open(ln, back)
	}
	return nil
}

// joinedWith takes note of the connection to the target.
func (ln *line) joinedWith(back *switchboard.Conn) {
	ln.joined, ln.tried = true, nil
	ln.proxy.lines.join(ln, back)
}

// Data implements switchboard.Handler. The two are joined before there is any.
func (b *backend) Data(*switchboard.Conn, []byte) (int, error) { return 0, nil }

// Leaving implements switchboard.Leaver, as the client's does.
func (b *backend) Leaving(*switchboard.Conn) {}

// Closed implements switchboard.Handler.
func (b *backend) Closed(_ *switchboard.Conn, err error) { (*line)(b).ended(err) }

// ended takes note that the connection to the target has ended, or that there is none.
func (ln *line) ended(err error) {
	ln.back, ln.far = nil, nil
	switch {
	case ln.joined || ln.gone:
		ln.target.left()
	case errors.Is(err, switchboard.ErrServerClosed):
		ln.target.left()
		ln.client.Abort()
	case isShortage(err):
		ln.target.left()
		if limit := cmp.Or(ln.client.Server().DialTimeout, 10*time.Second); limit > 0 && ln.client.Age() >= limit {
			ln.refuse(err)
		} else {
			ln.client.After(redial, ln.connect)
		}
	default:
		ln.failed(ln.target, err)
		ln.connect()
	}
}

// isShortage tells whether err is this system's want of descriptors, memory or ports, and not the target's fault.
func isShortage(err error) bool {
	return slices.ContainsFunc([]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL},
		func(errno error) bool { return errors.Is(err, errno) })
}
