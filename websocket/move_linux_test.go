package websocket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// A counting handler echoes each message behind its number, and the count moves with the WebSocket.
type counting struct{ n int }

func (h *counting) Message(c *Conn, kind Kind, p []byte) error {
	h.n++
	return c.Write(kind, fmt.Appendf(nil, "%d %s", h.n, p))
}

func (h *counting) Closed(*Conn, error) {}

func (h *counting) Move(*Conn) (switchboard.HandlerState, error) {
	return switchboard.HandlerState{Kind: "counting", Version: 7, Data: binary.AppendUvarint(nil, uint64(h.n))}, nil
}

func countingUpgrader() *Upgrader {
	return &Upgrader{
		Options: Options{Subprotocols: []string{"other", "counts"}, Deflate: &Deflate{Threshold: -1}, PingInterval: time.Hour},
		Check:   func(r *http.Request, _ http.Header) (Handler, error) { return new(counting), nil },
		MovedHandler: func(c *Conn, from switchboard.HandlerState) (Handler, error) {
			if from.Kind != "counting" || from.Version != 7 {
				return nil, errors.New("unknown")
			}
			n, _ := binary.Uvarint(from.Data)
			return &counting{int(n)}, nil
		},
	}
}

// successor hands what s has over to a new server of u.
func successor(t *testing.T, s *switchboard.Server, u *Upgrader) (*switchboard.Server, switchboard.Handed) {
	t.Helper()
	next := &switchboard.Server{Engine: s.Engine, Loops: 1, Logger: quiet, Accept: u.Accept, Moved: u.Moved}
	t.Cleanup(func() { next.Close() })
	giver, taker := testsocket.UnixPair(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	taken := make(chan error, 1)
	go func() {
		_, err := next.Takeover(ctx, taker)
		taken <- err
	}()
	handed, err := s.Handover(ctx, giver)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	return next, handed
}

// awaitReceived waits until the connection of s has received n bytes.
func awaitReceived(t *testing.T, s *switchboard.Server, n int) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		for c := range s.Conns() {
			if c.Received() == int64(n) {
				return
			}
		}
	}
	t.Fatalf("%d bytes did not come", n)
}

func TestAWebSocketMovesAtEveryByte(t *testing.T) {
	for name, compressed := range map[string]bool{"plain": false, "compressed": true} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, engine string) { moveAtEveryByte(t, engine, compressed) })
		})
	}
}

func moveAtEveryByte(t *testing.T, engine string, compressed bool) {
	u := countingUpgrader()
	s := &switchboard.Server{Engine: engine, Loops: 1}
	r := connect(t, serve(t, u, s))
	request := "GET / HTTP/1.1\r\n" + askLines + "Sec-WebSocket-Protocol: counts\r\n"
	if compressed {
		request += "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	}
	request += "\r\n"
	message := func(b []byte, op opcode, fin bool, p string) []byte {
		return appendMasked(b, header{op: op, fin: fin, length: uint64(len(p))}, []byte(p))
	}
	var said []byte
	if !compressed {
		said = message(said, opText, false, "gr\xc3") // the end of a character comes in the next frame
		said = message(said, opPing, true, "between")
		said = message(said, opContinuation, false, "\xb6")
		said = message(said, opContinuation, true, "\xc3\x9fe")
		said = message(said, opBinary, true, "more")
	} else {
		z := deflation{0, 15}.compress([]byte("small small small"), nil)
		said = appendMasked(said, header{op: opText, compressed: true, length: 5}, z.B[:5])
		said = appendMasked(said, header{op: opContinuation, fin: true, length: uint64(len(z.B) - 5)}, z.B[5:])
	}
	sent := 0
	step := func(p []byte) {
		r.write(p)
		sent += len(p)
		awaitReceived(t, s, sent)
		next, handed := successor(t, s, u)
		if handed.Conns != 1 || handed.Stayed != 0 || handed.Why != "" {
			t.Fatalf("after %d bytes: %+v", sent, handed)
		}
		s = next
	}
	for p := []byte(request); len(p) > 0; {
		n := min(len(p), 70)
		step(p[:n])
		p = p[n:]
	}
	r.answered(101)
	if got := r.head.Header.Get("Sec-WebSocket-Protocol"); got != "counts" {
		t.Errorf("subprotocol %q", got)
	}
	for i := range said {
		step(said[i : i+1])
	}
	wants := func(op opcode, want string) {
		t.Helper()
		h, p, err := r.frame()
		if err != nil {
			t.Fatal(err)
		}
		if h.compressed {
			out, err := inflate([]byte(p), nil, 1<<20, false)
			if err != nil {
				t.Fatal(err)
			}
			p = string(out.B)
		}
		if h.op != op || p != want {
			t.Errorf("%v %q, want %v %q", h.op, p, op, want)
		}
	}
	if !compressed {
		wants(opPong, "between")
		wants(opText, "1 größe")
		wants(opBinary, "2 more")
	} else {
		wants(opText, "1 small small small")
	}
	r.write(message(nil, opClose, true, "\x03\xe8"))
	r.wantsClose(CodeNormal)
}

func TestWhatCannotMoveStays(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		for name, u := range map[string]*Upgrader{
			"no Mover":         {Handler: MessageFunc((*Conn).Write)},
			"context takeover": {Options: Options{Deflate: &Deflate{ContextTakeover: true}}, Handler: new(counting)},
		} {
			s := &switchboard.Server{Engine: engine, Loops: 1}
			r := dialRaw(t, serve(t, u, s), "Sec-WebSocket-Extensions: permessage-deflate\r\n")
			left := make(chan struct{})
			go func() {
				defer close(left)
				_, handed := successor(t, s, countingUpgrader())
				if handed.Conns != 0 || handed.Stayed != 1 || handed.Listeners != 1 {
					t.Errorf("%s: %+v", name, handed)
				}
			}()
			if h, p, err := r.frame(); err != nil || h.op != opClose || p != "\x03\xf4" { // it is served until Shutdown, which tells why
				t.Fatal(h, p, err)
			}
			r.write(appendMasked(nil, header{op: opClose, fin: true, length: 2}, []byte("\x03\xf4")))
			r.wantsEnd()
			<-left
		}
	})
}

func TestAStateOfNoSenseIsAnError(t *testing.T) {
	u := countingUpgrader()
	s := &switchboard.Server{Loops: 1}
	r := connect(t, serve(t, u, s))
	r.write([]byte("GET"))
	awaitReceived(t, s, 3)
	for name, from := range map[string]switchboard.HandlerState{
		"another kind":    {Kind: "echo", Version: 1},
		"another version": {Kind: movedKind, Version: movedVersion + 1, Data: []byte{0}},
		"empty":           {Kind: movedKind, Version: movedVersion},
		"more":            {Kind: movedKind, Version: movedVersion, Data: []byte{0, 0}},
		"no handler":      {Kind: movedKind, Version: movedVersion, Data: []byte("\x01\x00\x00\x00\x00")},
		"no subprotocol":  {Kind: movedKind, Version: movedVersion, Data: []byte("\x01\x01z\x08counting\x07\x01\x05")},
	} {
		wait := make(chan error, 1)
		if err := s.Do(0, func() {
			for sc := range s.Conns() {
				_, err := u.Moved(sc, from)
				wait <- err
			}
		}); err != nil {
			t.Fatal(err)
		}
		if err := <-wait; err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzState(f *testing.F) {
	for _, p := range []string{"", "\x00", "\x01\x00\x00\x00\x00", "\x21\x0f\x00\x08counting\x07\x01\x05",
		"\x89\x00\x00\x08counting\x07\x01\x05\x01\x03\x01\x01\x05\x00abc"} {
		f.Add([]byte(p))
	}
	u := countingUpgrader()
	s, err := u.resolve()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		c := &Conn{loop: &loop{settings: s}, subprotocol: -1}
		if open, err := c.restore(p, u); err == nil && open && c.handler == nil {
			t.Error("nobody serves it")
		}
	})
}
