package zmtp_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

func TestPollFindsTheSocketsThatAreReady(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		pull, rep := socketOf(t, c, zmtp.PULL, nil), socketOf(t, c, zmtp.REP, nil)
		push, req := socketOf(t, c, zmtp.PUSH, &zmtp.Options{Immediate: true}), socketOf(t, c, zmtp.REQ, nil)
		items := []zmtp.PollItem{{Socket: pull, Recv: true}, {Socket: rep, Recv: true}, {Socket: push, Send: true}}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if n, err := zmtp.Poll(ctx, items); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(n, err)
		}
		connect(t, push, bind(t, pull, endpoint))
		if n, err := zmtp.Poll(t.Context(), items); n != 1 || err != nil || !items[2].CanSend {
			t.Fatal(n, err, items)
		}
		second := endpoint
		if !strings.HasPrefix(endpoint, "tcp") {
			second += "2"
		}
		connect(t, req, bind(t, rep, second))
		items = items[:2]
		go req.Send([]byte("question"))
		if n, err := zmtp.Poll(t.Context(), items); n != 1 || err != nil || !items[1].CanRecv {
			t.Fatal(n, err, items)
		}
		var m zmtp.Message
		if err := rep.TryRecv(&m); err != nil || string(m.Parts[0]) != "question" {
			t.Fatal(err)
		}
		send(t, push, "task")
		send(t, rep, "answer")
		if n, err := zmtp.Poll(t.Context(), items); n != 1 || err != nil || !items[0].CanRecv {
			t.Fatal(n, err, items)
		}
		go pull.Close()
		expect(t, req, "answer")
	})
}

func TestWaitingCallsObeyDeadlinesContextsAndClose(t *testing.T) {
	c := newContext(t)
	pull, push := socketOf(t, c, zmtp.PULL, nil), socketOf(t, c, zmtp.PUSH, nil)
	for name, call := range map[string]func() error{
		"receive": func() error { _, err := pull.Recv(); return err },
		"send":    func() error { return push.Send(nil) },
	} {
		pull.SetDeadline(time.Now().Add(-time.Second))
		push.SetDeadline(time.Now().Add(-time.Second))
		if err := call(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s past its deadline: %v", name, err)
		}
		pull.SetDeadline(time.Time{})
		push.SetDeadline(time.Time{})
		waits := make(chan error, 1)
		go func() { waits <- call() }()
		pull.SetDeadline(time.Now().Add(10 * time.Millisecond))
		push.SetDeadline(time.Now().Add(10 * time.Millisecond))
		if err := <-waits; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s at a deadline that is set while it waits: %v", name, err)
		}
		pull.SetDeadline(time.Time{})
		push.SetDeadline(time.Time{})
	}
	why := errors.New("for this reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	waits := make(chan error, 4)
	for range 2 {
		go func() { waits <- pull.RecvMessage(ctx, new(zmtp.Message)) }()
		go func() { waits <- push.SendMessage(ctx, &zmtp.Message{Parts: [][]byte{nil}}) }()
	}
	cancel(why)
	for range 4 {
		if err := <-waits; !errors.Is(err, why) {
			t.Error(err)
		}
	}
	for range 2 {
		go func() { _, err := pull.Recv(); waits <- err }()
		go func() { waits <- push.Send(nil) }()
	}
	pull.Close()
	push.Close()
	for range 4 {
		if err := <-waits; !errors.Is(err, zmtp.ErrClosed) {
			t.Error(err)
		}
	}
}
