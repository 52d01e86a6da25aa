package zmtp_test

import (
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/zmtp"
)

func TestHandlersAreGivenMessagesAndReply(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		rep := socketOf(t, c, zmtp.REP, &zmtp.Options{Handler: func(s *zmtp.Socket, m *zmtp.Message) {
			if err := m.Reply(append([][]byte{[]byte("re")}, m.Parts...)...); err != nil {
				t.Error(err)
			}
		}})
		at := bind(t, rep, endpoint)
		var wg sync.WaitGroup
		for range 5 {
			req := socketOf(t, c, zmtp.REQ, nil)
			connect(t, req, at)
			wg.Go(func() {
				for i := range 100 {
					if err := req.Send([]byte(strconv.Itoa(i)), make([]byte, i*100)); err != nil {
						t.Error(err)
						return
					}
					if parts, err := req.Recv(); err != nil || len(parts) != 3 || string(parts[1]) != strconv.Itoa(i) || len(parts[2]) != i*100 {
						t.Errorf("%d parts, %v", len(parts), err)
						return
					}
				}
			})
		}
		wg.Wait()
		if _, err := rep.Recv(); !errors.Is(err, zmtp.ErrNotSupported) {
			t.Error(err)
		}
	})
}

func TestHandlerOfAnXPUBHearsOfSubscriptions(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		heard := make(chan string, 10)
		pub := socketOf(t, c, zmtp.XPUB, &zmtp.Options{Handler: func(_ *zmtp.Socket, m *zmtp.Message) { heard <- string(m.Parts[0]) }})
		sub := socketOf(t, c, zmtp.SUB, nil)
		sub.Subscribe("a")
		connect(t, sub, bind(t, pub, endpoint))
		for i, want := range []string{"\x01a", "\x01b", "\x00b", "\x00a"} {
			switch i {
			case 1:
				sub.Subscribe("b")
			case 2:
				sub.Unsubscribe("b")
			case 3:
				sub.Close()
			}
			if got := <-heard; got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		}
	})
}

func TestHandlerThatPanicsEndsItsPeerAlone(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		c.Logger = slog.New(slog.DiscardHandler)
		var seen events
		pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{Monitor: seen.add, Handler: func(_ *zmtp.Socket, m *zmtp.Message) {
			if string(m.Parts[0]) == "bad" {
				panic("on purpose")
			}
		}})
		at := bind(t, pull, endpoint)
		good, bad := socketOf(t, c, zmtp.PUSH, nil), socketOf(t, c, zmtp.PUSH, &zmtp.Options{ReconnectMin: time.Hour})
		connect(t, good, at)
		connect(t, bad, at)
		send(t, good, "good")
		send(t, bad, "bad")
		eventually(t, "the end is told", func() bool { return seen.find(zmtp.Disconnected) != nil })
		var panicked *switchboard.PanicError
		if e := seen.find(zmtp.Disconnected); !errors.As(e.Err, &panicked) {
			t.Error(e.Err)
		}
		send(t, good, "good")
		eventually(t, "the good one goes on", func() bool { return pull.Stats().Received >= 3 })
	})
}
