package switchboard

import "time"

// A Trace is told of what happens on a server's connections, for metrics and logs. Every field is optional. They run on
// the connection's loop, must not wait, and must not be changed once the server runs.
type Trace struct {
	Opened  func(c *Conn)                     // Accept took c, or Dial's connection is there
	Refused func(c *Conn, err error)          // Accept refused c, or its TLS handshake failed
	Closed  func(c *Conn, err error)          // c is gone; after its handler was told
	Slow    func(c *Conn, held time.Duration) // its handler holds the loop longer than Server.SlowCall; not on the loop
}

func (t *Trace) opened(c *Conn) {
	if t != nil && t.Opened != nil {
		t.Opened(c)
	}
}

func (t *Trace) refused(c *Conn, err error) {
	if t != nil && t.Refused != nil {
		t.Refused(c, err)
	}
}

func (t *Trace) closed(c *Conn, err error) {
	if t != nil && t.Closed != nil {
		t.Closed(c, err)
	}
}

func (t *Trace) slow(c *Conn, held time.Duration) {
	if t != nil && t.Slow != nil {
		t.Slow(c, held)
	}
}
