package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

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
