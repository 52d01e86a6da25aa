package switchboard

import (
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/selector"
)

// readiness is the engine on a selector: wait, then read into the loop's one buffer.
type readiness struct {
	loop *loop
	sel  *selector.Selector
	buf  []byte
}

func newReadiness(l *loop, mechanism string) (engine, error) {
	sel, err := selector.Open(mechanism)
	if err != nil {
		return nil, err
	}
	return &readiness{loop: l, sel: sel, buf: make([]byte, l.limits.ReadBuffer)}, nil
}

func (e *readiness) name() string { return e.sel.Mechanism() }

func (e *readiness) listen(ln *listener) error { return e.sel.Register(ln.fd, selector.Read, ln) }

func (e *readiness) unlisten(ln *listener) { e.sel.Unregister(ln.fd) }

func (e *readiness) watch(c *Conn, want selector.Events) (err error) {
	switch selector.Events(c.wanted) {
	case want:
	case 0:
		err = e.sel.Register(int(c.fd), want, c)
	default:
		if want != 0 {
			err = e.sel.Modify(int(c.fd), want, c)
		} else { // registered for nothing, it would still be reported when the peer resets, again and again
			_, err = e.sel.Unregister(int(c.fd))
		}
	}
	if err == nil {
		c.wanted = uint8(want)
	}
	return err
}

func (e *readiness) send(c *Conn, p []byte) syscall.Errno {
	one := [1][]byte{p}
	return c.transmit(one[:])
}

func (e *readiness) submit() {}

func (e *readiness) look(c *Conn) bool { return c.read(e.buf) }

func (e *readiness) release(c *Conn) {
	if c.wanted != 0 {
		e.sel.Forget(int(c.fd))
		c.wanted = 0
	}
	if c.fd >= 0 {
		rawio.Close(int(c.fd))
	}
}

func (e *readiness) wait(timeout time.Duration) error {
	e.loop.rest(1)
	ready, err := e.sel.Select(timeout)
	e.loop.woken()
	// A handler's panic leaves this loop early. What was not looked at is still ready, and reported again.
	for i := range ready {
		switch owner := ready[i].Key.Data.(type) {
		case *Conn:
			e.ready(owner, ready[i].Events)
		case *listener:
			owner.acceptReady()
		}
	}
	return err
}

// ready looks at the connection rather than at the event: whatever came before in this turn may have changed what the
// connection waits for, or ended it.
func (e *readiness) ready(c *Conn, events selector.Events) {
	if events&selector.Write != 0 && c.watches(selector.Write) {
		if c.state == stateConnecting {
			c.connected(rawio.SocketError(int(c.fd)))
			return
		}
		c.writable()
	}
	if events&selector.Read != 0 && c.watches(selector.Read) {
		c.read(e.buf)
	}
}

func (e *readiness) wake() { e.sel.Wake() }

func (e *readiness) close() { e.sel.Close() }
