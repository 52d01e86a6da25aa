package switchboard_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// A greedy handler takes everything; at the end of input it gives it back to another handler.
type greedy struct{ taken []byte }

func (g *greedy) Data(c *switchboard.Conn, p []byte) (int, error) {
	g.taken = append(g.taken, p...)
	return len(p), nil
}

func (g *greedy) InputEnded(c *switchboard.Conn, rest []byte) error {
	return c.Do(func() {
		c.SetHandler(switchboard.DataFunc((*switchboard.Conn).Write))
		c.Unread(g.taken)
	})
}

func (g *greedy) Closed(*switchboard.Conn, error) {}

func TestWhatIsUnreadIsOfferedToTheNextHandlerAndThenTheEnd(t *testing.T) {
	for _, engine := range switchboard.Engines() {
		for _, size := range []int{0, 1, 5000, 3 << 20} {
			s := &switchboard.Server{Engine: engine, Accept: func(*switchboard.Conn) (switchboard.Handler, error) {
				return &greedy{}, nil
			}}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- s.Serve(l) }()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
			go func() {
				c.Write(sent)
				c.(*net.TCPConn).CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%s: got %d bytes of %d back: %v", engine, len(got), size, err)
			}
			c.Close()
			s.Close()
			<-done
		}
	}
}
