package websocket

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// Each row of the table of rules, over a real connection.
func TestAServerHoldsItsClientsToTheRules(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		address := serve(t, &Upgrader{Handler: echo}, &switchboard.Server{Engine: engine, QueueLimit: 4 << 20})
		for _, c := range ruleTable {
			t.Run(c.name, func(t *testing.T) {
				r := dialRaw(t, address)
				go r.conn.Write(c.input)
				for _, f := range c.found {
					op, payload, _ := strings.Cut(f, ":")
					switch op {
					case "1":
						r.wants(opText, payload)
					case "2":
						r.wants(opBinary, payload)
					case "9":
						r.wants(opPong, payload)
					}
				}
				if c.code != 0 {
					r.wantsClose(c.code)
				} else {
					r.write(frame(0x88, true, "\x03\xe8"))
					r.wantsClose(CodeNormal)
				}
			})
		}
	})
}

var errWrong = errors.New("a ProtocolError")

func TestAPanicResetsItsOwnWebSocketOnly(t *testing.T) {
	w := newWitness(func(c *Conn, kind Kind, p []byte) error {
		if string(p) == "panic" {
			panic("for testing")
		}
		return c.Write(kind, p)
	})
	address := serve(t, &Upgrader{Handler: w}, &switchboard.Server{Logger: quiet})
	a, b := dialRaw(t, address), dialRaw(t, address)
	a.write(frame(0x81, true, "panic"))
	if _, _, err := a.frame(); err == nil {
		t.Error("it got a frame")
	}
	var p *switchboard.PanicError
	if err := w.end(t); !errors.As(err, &p) {
		t.Errorf("told %v", err)
	}
	b.write(frame(0x81, true, "hello"))
	b.wants(opText, "hello")
}

func TestAFullQueueIsToldAndDrains(t *testing.T) {
	drained := make(chan struct{}, 1)
	w := &drainer{newWitness(nil), drained}
	r := dialRaw(t, serve(t, &Upgrader{Handler: w}, nil))
	c := w.conn(t)
	n := 0
	for ; ; n++ {
		if err := c.Write(Binary, make([]byte, 64<<10)); err == switchboard.ErrQueueFull {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !c.Full() {
		t.Error("it is not Full")
	}
	for range n {
		if h, _, err := r.frame(); err != nil || h.length != 64<<10 {
			t.Fatal(h, err)
		}
	}
	select {
	case <-drained:
	case <-time.After(patience):
		t.Error("Drained was not called")
	}
}

type drainer struct {
	*witness
	drained chan struct{}
}

func (d *drainer) Drained(*Conn) { d.drained <- struct{}{} }

func TestPartsOfAMessage(t *testing.T) {
	w := newWitness(nil)
	r := dialRaw(t, serve(t, &Upgrader{Handler: w}, nil))
	c := w.conn(t)
	for i, part := range []string{"one ", "two ", "three"} {
		if err := c.WritePart(Text, []byte(part), i == 2); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := c.Write(Text, nil); err != ErrMidMessage {
				t.Errorf("a message inside another: %v", err)
			}
			if err := c.Ping([]byte("between")); err != nil {
				t.Error(err)
			}
		}
	}
	c.Write(Binary, []byte("next"))
	for _, want := range []struct {
		op  opcode
		fin bool
		p   string
	}{{opText, false, "one "}, {opPing, true, "between"}, {opContinuation, false, "two "}, {opContinuation, true, "three"}, {opBinary, true, "next"}} {
		h, p, err := r.frame()
		if err != nil || h.op != want.op || h.fin != want.fin || p != want.p {
			t.Fatalf("%+v %q %v, want %v", h, p, err, want)
		}
	}
}

type receiver struct {
	*witness
}

func (r *receiver) Part(c *Conn, kind Kind, p []byte, last bool) error {
	return c.WritePart(kind, p, last)
}

func TestAReceiverTakesMessagesLongerThanAnyLimit(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		w := &receiver{newWitness(nil)}
		u := &Upgrader{Handler: w, Options: Options{MaxMessage: 1000, Deflate: &Deflate{}}}
		r := dialRaw(t, serve(t, u, &switchboard.Server{Engine: engine}), "Sec-WebSocket-Extensions: permessage-deflate\r\n")
		if r.head.Header.Get("Sec-WebSocket-Extensions") == "" {
			t.Error("it did not agree on compression")
		}
		const size = 8 << 20
		said := strings.Repeat("0123456789abcdef", size/16)
		small := deflation{level: 9, bits: maxWindowBits}.compress([]byte("begin"+said), nil).B // about 1 to 1000
		go func() {
			r.conn.Write(frame(0x02, true, "begin"))
			r.conn.Write(frame(0x80, true, said))
			r.conn.Write(frame(0x42, true, string(small[:100])))
			r.conn.Write(frame(0x89, true, "between"))
			r.conn.Write(frame(0x80, true, string(small[100:])))
		}()
		for _, form := range []string{"as it is", "compressed"} {
			var got strings.Builder
			for {
				h, p, err := r.frame()
				if err != nil {
					t.Fatal(err)
				}
				if h.op == opPong {
					continue
				}
				got.WriteString(p)
				if h.fin {
					break
				}
			}
			if got.String() != "begin"+said {
				t.Errorf("%s: %d bytes came back, want %d", form, got.Len(), size+5)
			}
		}
	})
}

func TestPauseStopsMessages(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		w := newWitness(nil)
		w.do = func(c *Conn, kind Kind, p []byte) error {
			c.Pause()
			c.conn.After(time.Millisecond, c.Resume)
			return c.Write(kind, p)
		}
		r := dialRaw(t, serve(t, &Upgrader{Handler: w}, &switchboard.Server{Engine: engine}))
		r.write(join(frame(0x81, true, "1"), frame(0x81, true, "2"), frame(0x81, true, "3")))
		for _, p := range []string{"1", "2", "3"} {
			r.wants(opText, p)
		}
	})
}
