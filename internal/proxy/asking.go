package proxy

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/switchboard-go/switchboard"
)

// unknownName is the alert of TLS for a name that is not served (RFC 8446, section 6: fatal, unrecognized_name).
const unknownName = "\x15\x03\x01\x00\x02\x02\x70"

// asking is a line as the handler of a client that has not asked for a name yet, in a TLS handshake with its target that the proxy
// only passes on. A client that does not speak TLS asks for none.
type asking line

// Data implements switchboard.Handler.
func (a *asking) Data(c *switchboard.Conn, p []byte) (int, error) {
	const handshake = 22 // the type of the first record, RFC 8446, section 5.1
	ln := (*line)(a)
	hello, err := switchboard.ClientHello(p)
	if errors.Is(err, io.ErrUnexpectedEOF) && p[0] == handshake {
		return 0, nil // more is needed
	}
	if err == nil {
		ln.name = strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	}
	if err == nil && !ln.proxy.targets.has(ln.name) {
		io.WriteString(c, unknownName)
		err := noTargetFor(ln.name)
		ln.proxy.unserved.tell(ln.proxy.log, err)
		return 0, err
	}
	c.SetHandler(ln)
	c.Pause()
	ln.connect()
	return 0, nil // the target gets it all
}

// InputEnded implements switchboard.InputEnder. The error resets the client: an end in order would look like an empty answer.
func (a *asking) InputEnded(*switchboard.Conn, []byte) error {
	ln := (*line)(a)
	err := errors.New("a client ended its output before it had said what it asks for")
	ln.proxy.unserved.tell(ln.proxy.log, err)
	return err
}

// Leaving implements switchboard.Leaver: a client that has begun to ask is served still.
func (a *asking) Leaving(c *switchboard.Conn) {
	if c.Buffered() == 0 {
		c.Close()
	}
}

// Closed implements switchboard.Handler.
func (a *asking) Closed(c *switchboard.Conn, err error) { (*line)(a).Closed(c, err) }

func noTargetFor(name string) error {
	if name == "" {
		return errors.New("no target is for clients that ask for no name")
	}
	return fmt.Errorf("no target is for the name %q", name)
}
