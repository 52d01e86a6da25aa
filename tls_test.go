package switchboard

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

func TestQueueGivesItsFirstBytesInOnePiece(t *testing.T) {
	var q buffer.Queue
	var all []byte
	for i := range 200 {
		p := bytes.Repeat([]byte{byte(i)}, 1+i*37%4000)
		q.Add(p)
		all = append(all, p...)
	}
	scratch := make([]byte, 0, tlsconn.MaxPlaintext)
	for len(all) > 0 {
		p := front(&q, scratch, sealBatch)
		if len(p) < min(len(all), tlsconn.MaxPlaintext) || len(p) > sealBatch || !bytes.Equal(p, all[:len(p)]) {
			t.Fatalf("%d bytes with %d left", len(p), len(all))
		}
		q.Drop(len(p) - len(p)/3)
		all = all[len(p)-len(p)/3:]
	}
	if q.First() != nil || q.Len() != 0 {
		t.Error("something is left")
	}
}

// A connection on which crypto/tls takes no more output has failed, and its handler hears why.
func TestWhatCannotBeEncryptedEndsItsConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	s := &Server{
		Loops: 1,
		Trace: &Trace{Closed: func(_ *Conn, err error) { ended <- err }},
		Handler: DataFunc(func(c *Conn, p []byte) (int, error) {
			c.secure(&tls.Config{}, false).up = true // which crypto/tls does not know of
			c.Write(p)
			return len(p), nil
		}),
	}
	over := make(chan error, 1)
	go func() { over <- s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "in the clear")
	c.(*net.TCPConn).CloseWrite()
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == io.EOF {
		t.Errorf("its peer has got %d bytes, %v", n, err)
	}
	var op *net.OpError
	if err := <-ended; !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("it ended with %v", err)
	}
	s.Close()
	<-over
}
