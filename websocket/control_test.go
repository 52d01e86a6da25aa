package websocket

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

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
