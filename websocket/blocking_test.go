package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

func TestBlockingCode(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		ran := make(chan struct{}, 100)
		h := Blocking(func(s *Stream) error {
			ran <- struct{}{}
			kind, p, err := s.Read()
			if err != nil {
				return err
			}
			switch string(p) {
			case "two":
				_, p, err = s.Read() // and one more
				if err != nil {
					return err
				}
				return s.Write(kind, []byte("two: "+string(p)))
			case "late":
				s.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				_, _, err := s.Read()
				return s.Write(Text, []byte(fmt.Sprint(errors.Is(err, os.ErrDeadlineExceeded))))
			case "past":
				s.SetReadDeadline(time.Now().Add(-time.Second))
				_, _, err := s.Read()
				return s.Write(Text, []byte(fmt.Sprint(errors.Is(err, os.ErrDeadlineExceeded))))
			case "bye":
				return io.EOF
			case "no":
				return &CloseError{4000, "no"}
			case "panic":
				panic("for testing")
			case "exit":
				runtime.Goexit()
			}
			return s.Write(kind, p)
		})
		address := serve(t, &Upgrader{Handler: h}, &switchboard.Server{Engine: engine, Logger: quiet})
		r := dialRaw(t, address)
		for _, c := range [][2]string{{"hello", "hello"}, {"late", "true"}, {"past", "true"}, {"hello", "hello"}} {
			r.write(frame(0x81, true, c[0]))
			r.wants(opText, c[1])
		}
		r.write(join(frame(0x81, true, "two"), frame(0x81, true, "x"), frame(0x81, true, "y")))
		r.wants(opText, "two: x")
		r.wants(opText, "y")
		if len(ran) != 6 {
			t.Errorf("f ran %d times", len(ran))
		}
		r.write(frame(0x81, true, "bye"))
		r.wants(opClose, "\x03\xe8")
		r.write(frame(0x88, true, "\x03\xe8"))
		r.wantsEnd()
		r = dialRaw(t, address)
		r.write(frame(0x81, true, "no"))
		r.wants(opClose, "\x0f\xa0no")
		for _, how := range []string{"panic", "exit"} {
			r = dialRaw(t, address)
			r.write(frame(0x81, true, how))
			r.wantsReset()
		}
	})
}

// Messages that nobody reads stop the peer, and not the loop.
func TestBlockingCodeThatDoesNotRead(t *testing.T) {
	release, ended := make(chan struct{}), make(chan error, 1)
	n := 0
	h := Blocking(func(s *Stream) error {
		<-release
		for {
			_, p, err := s.Read()
			if err != nil {
				ended <- err
				return err
			}
			n += len(p)
		}
	})
	s := &switchboard.Server{Logger: quiet}
	r := dialRaw(t, serve(t, &Upgrader{Handler: h}, s))
	const total = 200
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range total {
			r.conn.Write(frame(0x82, true, strings.Repeat("x", 60_000)))
		}
		r.conn.Write(frame(0x88, true, "\x03\xe8"))
		r.conn.(*net.TCPConn).CloseWrite()
	}()
	select {
	case <-over:
		t.Error("everything was taken")
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	if err := <-ended; err != io.EOF || n != total*60_000 {
		t.Errorf("read %d bytes, then %v", n, err)
	}
	<-over
}

// A Write waits for room, and gives up when the peer is gone.
func TestBlockingWritesWait(t *testing.T) {
	ended := make(chan error, 1)
	h := Blocking(func(s *Stream) error {
		if _, _, err := s.Read(); err != nil {
			return err
		}
		for range 100 {
			if err := s.Write(Binary, make([]byte, 200_000)); err != nil {
				ended <- err
				return err
			}
		}
		s.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		for {
			if err := s.Write(Binary, make([]byte, 200_000)); err != nil {
				ended <- err
				return err
			}
		}
	})
	r := dialRaw(t, serve(t, &Upgrader{Handler: h}, nil))
	r.write(frame(0x81, true, "go"))
	for range 100 {
		if h, _, err := r.frame(); err != nil || h.length != 200_000 {
			t.Fatal(h, err)
		}
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write ended with %v", err)
	}
}
