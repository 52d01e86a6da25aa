package websocket

import (
	"bytes"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A full is a handler whose peer reads nothing of what it is sent at once.
type full struct {
	*witness
	keeps bool
}

func (h *full) Opened(c *Conn) error {
	if h.keeps {
		c.KeepReading(true)
	}
	if err := c.Write(Binary, make([]byte, 48<<20)); err != nil { // more than the kernel holds
		return err
	}
	return h.witness.Opened(c)
}

// fullInParts is a full that receives parts.
type fullInParts struct{ full }

func (h *fullInParts) Part(c *Conn, kind Kind, p []byte, last bool) error {
	return h.Message(c, kind, p)
}

// Who keeps reading hears a peer that reads nothing. Others hear it when it has read.
func TestKeepReading(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		for name, of := range map[string]func(full) Handler{
			"whole":    func(h full) Handler { return &h },
			"in parts": func(h full) Handler { return &fullInParts{h} },
		} {
			t.Run(name, func(t *testing.T) {
				heard := make(chan bool, 4)
				hear := func(*Conn, Kind, []byte) error {
					heard <- true
					return nil
				}
				s := &switchboard.Server{Engine: engine, QueueLimit: 64 << 20, Logger: quiet}
				u := &Upgrader{Handler: of(full{newWitness(hear), true}), Options: Options{Deflate: &Deflate{}}}
				r := dialRaw(t, serve(t, u, s), "Sec-WebSocket-Extensions: permessage-deflate\r\n")
				r.write(frame(0x81, true, "one"))
				r.write(frame(0xc1, true, "\xca\xcf\x4b\x05\x00")) // compressed
				for range 2 {
					select {
					case <-heard:
					case <-time.After(patience):
						t.Fatal("a peer that does not read is not heard")
					}
				}
			})
		}
	})
}

// Without it, what a peer says waits until it reads.
func TestAPeerThatDoesNotReadIsNotHeard(t *testing.T) {
	heard := make(chan bool, 1)
	w := newWitness(func(*Conn, Kind, []byte) error {
		heard <- true
		return nil
	})
	r := dialRaw(t, serve(t, &Upgrader{Handler: &full{witness: w}}, &switchboard.Server{QueueLimit: 64 << 20, Logger: quiet}))
	c := w.conn(t)
	if !c.Full() {
		t.Fatal("the kernel holds it all")
	}
	r.write(frame(0x81, true, "one"))
	h, p, err := r.frame()
	if err != nil || len(heard) > 0 && c.Full() || len(p) != int(h.length) || bytes.Trim([]byte(p), "\x00") != nil {
		t.Errorf("%d bytes, %v, and %d are heard", len(p), err, len(heard))
	}
	select {
	case <-heard:
	case <-time.After(patience):
		t.Error("it is not heard when it has read")
	}
}

// One goroutine of Blocking's function reads while another waits for a peer that reads nothing.
func TestAStreamIsReadWhileAWriteWaits(t *testing.T) {
	heard := make(chan error, 1)
	h := Blocking(func(s *Stream) error {
		if _, _, err := s.Read(); err != nil {
			return err
		}
		written := make(chan error, 1)
		go func() {
			var err error
			for range 48 { // MiB: more than the kernel holds
				if err = s.Write(Binary, make([]byte, 1<<20)); err != nil {
					break
				}
			}
			written <- err
		}()
		_, _, err := s.Read()
		heard <- err
		return <-written
	})
	r := dialRaw(t, serve(t, &Upgrader{Handler: h}, &switchboard.Server{QueueLimit: 2 << 20, Logger: quiet}))
	r.write(frame(0x81, true, "begin"))
	if _, _, err := r.frame(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the queue is full by then, mostly
	r.write(frame(0x81, true, "one"))
	select {
	case err := <-heard:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it is not heard")
	}
}

// Messages without a byte stop the reading too when there are many.
func TestAStreamHoldsFewEmptyMessages(t *testing.T) {
	streams, read := make(chan *Stream, 1), make(chan int, 1)
	goOn := make(chan bool)
	const many = 20_000
	h := Blocking(func(s *Stream) error {
		streams <- s
		<-goOn
		for n := 0; ; n++ {
			if n == many {
				read <- n
				return nil
			}
			if _, p, err := s.Read(); err != nil || len(p) > 0 {
				t.Errorf("%q, %v", p, err)
				read <- n
				return err
			}
		}
	})
	r := dialRaw(t, serve(t, &Upgrader{Handler: h}, nil))
	r.write(bytes.Repeat(frame(0x82, true, ""), many))
	s := <-streams
	stopped := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.paused
	}
	for limit := time.Now().Add(patience); !stopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("it reads on")
		}
	}
	close(goOn)
	if n := <-read; n != many {
		t.Errorf("%d of %d are read", n, many)
	}
}
