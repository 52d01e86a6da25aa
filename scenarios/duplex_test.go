package scenarios

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// Code that waits may write from one goroutine while it reads in another, to a peer that reads nothing before it has said all:
// as over net, what waits to be sent does not keep the input from being read.
func TestBlockingCodeReadsWhileItsOutputWaits(t *testing.T) {
	const size = 24 << 20 // more than the system's buffers hold
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		said := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		heard := make(chan int64, 1)
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			written := make(chan error, 1)
			go func() {
				_, err := conn.Write(said)
				written <- err
			}()
			n, err := io.CopyN(io.Discard, r, size)
			heard <- n
			if err == nil {
				err = <-written
			}
			return err
		}))
		p := call(t, start(t, s))
		p.says(string(said))
		if n := next(t, heard); n != size {
			t.Errorf("the server has heard %d bytes of %d", n, size)
		}
		p.hears(string(said))
	})
}
