package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
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

func TestCloseFramesAreAnswered(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		code          int   // of the answer
		err           error // that the handler is told; nil: none
	}{
		{"no code", "", CodeNone, nil},
		{"1000", "\x03\xe8", 1000, nil},
		{"1000 and a reason", "\x03\xe8so long", 1000, nil},
		{"1001", "\x03\xe9", 1001, nil},
		{"1002", "\x03\xea", 1002, &CloseError{1002, ""}},
		{"1003", "\x03\xeb", 1003, &CloseError{1003, ""}},
		{"1007", "\x03\xef", 1007, &CloseError{1007, ""}},
		{"1008", "\x03\xf0", 1008, &CloseError{1008, ""}},
		{"1009", "\x03\xf1", 1009, &CloseError{1009, ""}},
		{"1010", "\x03\xf2", 1010, &CloseError{1010, ""}},
		{"1011", "\x03\xf3", 1011, &CloseError{1011, ""}},
		{"1012", "\x03\xf4", 1012, &CloseError{1012, ""}},
		{"1013", "\x03\xf5", 1013, &CloseError{1013, ""}},
		{"1014", "\x03\xf6", 1014, &CloseError{1014, ""}},
		{"3000", "\x0b\xb8", 3000, &CloseError{3000, ""}},
		{"3999", "\x0f\x9f", 3999, &CloseError{3999, ""}},
		{"4000", "\x0f\xa0", 4000, &CloseError{4000, ""}},
		{"4999 and a reason", "\x13\x87why", 4999, &CloseError{4999, "why"}},
		{"a reason of 123 bytes", "\x03\xe8" + strings.Repeat("*", 123), 1000, nil},

		{"one byte", "\x03", CodeProtocolError, errWrong},
		{"0", "\x00\x00", CodeProtocolError, errWrong},
		{"999", "\x03\xe7", CodeProtocolError, errWrong},
		{"1004", "\x03\xec", CodeProtocolError, errWrong},
		{"1005", "\x03\xed", CodeProtocolError, errWrong},
		{"1006", "\x03\xee", CodeProtocolError, errWrong},
		{"1015", "\x03\xf7", CodeProtocolError, errWrong},
		{"1016", "\x03\xf8", CodeProtocolError, errWrong},
		{"1100", "\x04\x4c", CodeProtocolError, errWrong},
		{"2000", "\x07\xd0", CodeProtocolError, errWrong},
		{"2999", "\x0b\xb7", CodeProtocolError, errWrong},
		{"5000", "\x13\x88", CodeProtocolError, errWrong},
		{"65535", "\xff\xff", CodeProtocolError, errWrong},
		{"a reason that is not UTF-8", "\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80", CodeInvalidData, errWrong},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWitness(nil)
			r := dialRaw(t, serve(t, &Upgrader{Handler: w}, nil))
			r.write(frame(0x88, true, c.payload))
			r.wantsClose(c.code)
			r.conn.Close()
			err := w.end(t)
			var closed, want *CloseError
			switch {
			case c.err == nil:
				if err != nil {
					t.Errorf("told %v", err)
				}
			case errors.As(c.err, &want):
				if !errors.As(err, &closed) || *closed != *want {
					t.Errorf("told %v, want %v", err, want)
				}
			default:
				if wrong := (*ProtocolError)(nil); !errors.As(err, &wrong) || wrong.Code != c.code {
					t.Errorf("told %v", err)
				}
			}
		})
	}
}

var errWrong = errors.New("a ProtocolError")

func TestWhatFollowsACloseFrameIsDropped(t *testing.T) {
	w := newWitness(nil)
	r := dialRaw(t, serve(t, &Upgrader{Handler: w}, nil))
	r.write(join(frame(0x81, true, "one"), frame(0x88, true, "\x03\xe8"), frame(0x81, true, "two"), frame(0x89, true, "ping"), []byte("garbage")))
	r.wantsClose(CodeNormal)
	r.conn.Close()
	if err := w.end(t); err != nil {
		t.Errorf("told %v", err)
	}
	if len(w.told) != 1 || w.told[0] != "text:one" {
		t.Errorf("told %q", w.told)
	}
}

func TestTheServerCloses(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		w := newWitness(nil)
		r := dialRaw(t, serve(t, &Upgrader{Handler: w}, &switchboard.Server{Engine: engine}))
		c := w.conn(t)
		if err := c.Write(Text, []byte("last words")); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(4001, "enough"); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(Text, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write after Close: %v", err)
		}
		c.Close(4002, "again")
		r.wants(opText, "last words")
		r.wants(opClose, "\x0f\xa1enough")
		r.write(join(frame(0x81, true, "dropped"), frame(0x89, true, "dropped")))
		r.write(frame(0x88, true, "\x0f\xa1"))
		r.wantsEnd()
		r.conn.Close()
		if err := w.end(t); err != nil {
			t.Errorf("told %v", err)
		}
		if len(w.told) > 0 {
			t.Errorf("told %q", w.told)
		}
	})
}

func TestBothCloseAtOnce(t *testing.T) {
	w := newWitness(nil)
	r := dialRaw(t, serve(t, &Upgrader{Handler: w}, nil))
	c := w.conn(t)
	c.Close(CodeNormal, "")
	r.write(frame(0x88, true, "\x0f\xa0")) // before it has seen the server's
	r.wants(opClose, "\x03\xe8")
	r.wantsEnd()
	r.conn.Close()
	if err := w.end(t); err != nil {
		t.Errorf("told %v", err)
	}
}

func TestAPeerThatDoesNotAnswerACloseFrameIsReset(t *testing.T) {
	w := newWitness(nil)
	r := dialRaw(t, serve(t, &Upgrader{Handler: w, Options: Options{CloseTimeout: 50 * time.Millisecond}}, nil))
	w.conn(t).Close(CodeNormal, "")
	r.wants(opClose, "\x03\xe8")
	r.wantsReset()
	if err := w.end(t); err != ErrCloseTimeout {
		t.Errorf("told %v", err)
	}
}

func TestTCPEndsWithoutACloseFrame(t *testing.T) {
	for name, c := range map[string]struct {
		say  []byte
		hang func(r *raw)
		want error
	}{
		"half-close":                {frame(0x81, true, "hi"), func(r *raw) { r.conn.(*net.TCPConn).CloseWrite() }, ErrNoClose},
		"half-close inside a frame": {frame(0x81, true, "hi")[:5], func(r *raw) { r.conn.(*net.TCPConn).CloseWrite() }, ErrNoClose},
		"reset": {nil, func(r *raw) {
			r.conn.(*net.TCPConn).SetLinger(0)
			r.conn.Close()
		}, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(nil)
			r := dialRaw(t, serve(t, &Upgrader{Handler: w}, nil))
			w.conn(t)
			r.write(c.say)
			c.hang(r)
			if err := w.end(t); !errors.Is(err, c.want) {
				t.Errorf("told %v, want %v", err, c.want)
			}
		})
	}
}

func TestWhatAHandlerReturnsClosesTheWebSocket(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		err  error
		code int
		told error
	}{{io.EOF, CodeNormal, nil}, {&CloseError{4321, "no"}, 4321, nil}, {broken, CodeInternalError, broken}, {&CloseError{1006, ""}, CodeInternalError, nil}} {
		w := newWitness(func(*Conn, Kind, []byte) error { return c.err })
		r := dialRaw(t, serve(t, &Upgrader{Handler: w}, nil))
		r.write(join(frame(0x81, true, "one"), frame(0x81, true, "two")))
		h, p, err := r.frame()
		if code, _, _ := parseClose([]byte(p)); err != nil || h.op != opClose || code != c.code {
			t.Errorf("%v: closed with %d, %v", c.err, code, err)
		}
		r.conn.Write(frame(0x88, true, p))
		r.wantsEnd()
		r.conn.Close()
		if err := w.end(t); c.code != CodeInternalError && err != nil || c.told != nil && err != c.told {
			t.Errorf("%v: told %v", c.err, err)
		}
		if len(w.told) != 1 {
			t.Errorf("%v: told of %q", c.err, w.told)
		}
	}
}

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

func TestPingsAreAnswered(t *testing.T) {
	r := dialRaw(t, serve(t, &Upgrader{Handler: echo}, nil))
	r.write(frame(0x8a, true, "a pong that nobody asked for"))
	const n = 2000
	go func() {
		for range n {
			r.conn.Write(frame(0x89, true, strings.Repeat("p", 125)))
		}
		r.conn.Write(frame(0x81, true, "and then"))
	}()
	for range n {
		r.wants(opPong, strings.Repeat("p", 125))
	}
	r.wants(opText, "and then")
}

func TestControlFramesAreLimited(t *testing.T) {
	w := newWitness(nil)
	r := dialRaw(t, serve(t, &Upgrader{Handler: w, Options: Options{MaxControl: 10}}, nil))
	go func() {
		for range 100 {
			if _, err := r.conn.Write(frame(0x89, true, "")); err != nil {
				return
			}
		}
	}()
	pongs := 0
	for {
		h, p, err := r.frame()
		if err != nil {
			t.Fatal(err)
		}
		if h.op == opPong {
			pongs++
			continue
		}
		if code, _, _ := parseClose([]byte(p)); h.op != opClose || code != CodePolicy {
			t.Errorf("opcode %d, code %d", h.op, code)
		}
		break
	}
	if pongs < 10 || pongs > 20 { // a second may have begun in between
		t.Errorf("%d pongs", pongs)
	}
}

// A Close frame follows everything that was written, however full the queue is.
func TestACloseBehindAFullQueue(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		w := newWitness(nil)
		r := dialRaw(t, serve(t, &Upgrader{Handler: w}, &switchboard.Server{Engine: engine, QueueLimit: 256 << 10}))
		c := w.conn(t)
		chunk, sent := bytes.Repeat([]byte("x"), 32<<10), 0
		for full := false; !full; { // the system may take more meanwhile
			for _, size := range []int{len(chunk), 300} {
				var err error
				for ; err == nil; sent++ {
					err = c.Write(Binary, chunk[:size])
				}
				if sent--; err != switchboard.ErrQueueFull {
					t.Fatal(err)
				}
			}
			for pings := 0; !full && pings < 300; pings++ { // no room for a Close frame
				full = c.Ping(nil) != nil
			}
		}
		c.Close(4000, strings.Repeat("r", 100))
		for heard := 0; ; {
			h, p, err := r.frame()
			if err != nil {
				t.Fatal(err)
			}
			if h.op == opPing {
				continue
			}
			if h.op == opBinary {
				heard++
				continue
			}
			if code, _, _ := parseClose([]byte(p)); h.op != opClose || code != 4000 || heard != sent {
				t.Fatalf("opcode %d, code %d, after %d of %d messages", h.op, code, heard, sent)
			}
			break
		}
		r.write(frame(0x88, true, "\x0f\xa0"))
		r.wantsEnd()
		r.conn.Close()
		if err := w.end(t); err != nil {
			t.Errorf("told %v", err)
		}
	})
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

func TestSilentPeersArePinged(t *testing.T) {
	w := newWitness(nil)
	address := serve(t, &Upgrader{Handler: w, Options: Options{PingInterval: time.Second}}, nil)
	dead, alive := dialRaw(t, address), dialRaw(t, address)
	w.conn(t)
	w.conn(t)
	pings := make(chan error, 1)
	go func() {
		for range 3 {
			if h, _, err := alive.frame(); err != nil || h.op != opPing {
				pings <- fmt.Errorf("opcode %d, %w", h.op, err)
				return
			}
			alive.conn.Write(frame(0x8a, true, ""))
		}
		pings <- nil
	}()
	dead.wants(opPing, "")
	dead.wantsReset()
	if err := w.end(t); err != ErrPingTimeout {
		t.Errorf("told %v", err)
	}
	if err := <-pings; err != nil {
		t.Error(err)
	}
}

// One timer serves all, and outlives the connection that began it.
func TestPingersShareATimer(t *testing.T) {
	w := newWitness(nil)
	address := serve(t, &Upgrader{Handler: w, Options: Options{PingInterval: time.Second}}, &switchboard.Server{Loops: 1})
	first := dialRaw(t, address)
	var others []*raw
	for range 50 {
		others = append(others, dialRaw(t, address))
	}
	first.conn.Close()
	w.end(t)
	for _, r := range others {
		r.wants(opPing, "")
	}
}

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

func TestShutdownSaysGoodbye(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		w := newWitness(nil)
		s := &switchboard.Server{Engine: engine}
		r := dialRaw(t, serve(t, &Upgrader{Handler: w}, s))
		w.conn(t)
		ended := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		go func() { ended <- s.Shutdown(ctx) }()
		r.wants(opClose, "\x03\xe9")
		r.write(frame(0x88, true, "\x03\xe9"))
		r.wantsEnd()
		r.conn.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := w.end(t); err != nil {
			t.Errorf("told %v", err)
		}
	})
}
