package zmtp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

func TestPushDeliversEveryMessageInOrder(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		pull := socketOf(t, c, zmtp.PULL, nil)
		push := socketOf(t, c, zmtp.PUSH, nil)
		connect(t, push, bind(t, pull, endpoint))
		const n = 20000
		go func() {
			for i := range n {
				push.Send([]byte(fmt.Sprint(i)), []byte(strings.Repeat("x", i%700)))
			}
		}()
		for i := range n {
			expect(t, pull, fmt.Sprint(i)+"|"+strings.Repeat("x", i%700))
		}
	})
}

func TestLargeMessagesArriveWhole(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		a, b := socketOf(t, c, zmtp.PAIR, nil), socketOf(t, c, zmtp.PAIR, nil)
		connect(t, b, bind(t, a, endpoint))
		for _, size := range []int{0, 1, 254, 255, 256, 257, 8191, 8192, 65535, 65536, 1 << 20, 5 << 20} {
			want := strings.Repeat("m", size)
			send(t, a, want, "end")
			expect(t, b, want+"|end")
			send(t, b, want)
			expect(t, a, want)
		}
	})
}

func TestRequestAndReply(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		rep := socketOf(t, c, zmtp.REP, nil)
		at := bind(t, rep, endpoint)
		var wg sync.WaitGroup
		for i := range 4 {
			req := socketOf(t, c, zmtp.REQ, nil)
			connect(t, req, at)
			wg.Go(func() {
				for n := range 100 {
					if err := req.Send([]byte(fmt.Sprintf("%d-%d", i, n))); err != nil {
						t.Error(err)
						return
					}
					if got, err := req.Recv(); err != nil || string(got[0]) != fmt.Sprintf("%d-%d!", i, n) {
						t.Errorf("%q, %v", got, err)
						return
					}
				}
			})
		}
		for range 400 {
			send(t, rep, receive(t, rep)+"!")
		}
		wg.Wait()
	})
}

func TestSocketsKeepToTheirTurns(t *testing.T) {
	c := newContext(t)
	req, rep := socketOf(t, c, zmtp.REQ, nil), socketOf(t, c, zmtp.REP, nil)
	connect(t, req, bind(t, rep, "inproc://turns"))
	if _, err := req.Recv(); !errors.Is(err, zmtp.ErrState) {
		t.Errorf("a REQ that has not sent receives: %v", err)
	}
	if err := rep.Send([]byte("x")); !errors.Is(err, zmtp.ErrState) {
		t.Errorf("a REP without a request sends: %v", err)
	}
	send(t, req, "a")
	if err := req.Send([]byte("b")); !errors.Is(err, zmtp.ErrState) {
		t.Errorf("a REQ sends twice: %v", err)
	}
	expect(t, rep, "a")
	if _, err := rep.Recv(); !errors.Is(err, zmtp.ErrState) {
		t.Errorf("a REP receives twice: %v", err)
	}
	send(t, rep, "A")
	expect(t, req, "A")
}

func TestRouterAddressesDealersByIdentity(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		router := socketOf(t, c, zmtp.ROUTER, &zmtp.Options{RouterMandatory: true})
		at := bind(t, router, endpoint)
		for _, name := range []string{"ann", "bob"} {
			dealer := socketOf(t, c, zmtp.DEALER, &zmtp.Options{Identity: name})
			connect(t, dealer, at)
			send(t, dealer, "hello")
			expect(t, router, name+"|hello")
			send(t, router, name, "welcome", name)
			expect(t, dealer, "welcome|"+name)
		}
		if err := router.Send([]byte("nobody"), []byte("x")); !errors.Is(err, zmtp.ErrUnreachable) {
			t.Errorf("%v", err)
		}
	})
}

func TestSubscribersGetWhatTheyAskedFor(t *testing.T) {
	for _, version30 := range []bool{false, true} {
		overTransports(t, func(t *testing.T, endpoint string) {
			c := newContext(t)
			pub := socketOf(t, c, zmtp.XPUB, nil)
			at := bind(t, pub, endpoint)
			sub := socketOf(t, c, zmtp.SUB, &zmtp.Options{Version30: version30})
			sub.Subscribe("a.")
			connect(t, sub, at)
			expect(t, pub, "\x01a.")
			sub.Subscribe("b")
			expect(t, pub, "\x01b")
			for _, topic := range []string{"a", "a.", "a.1", "b", "c", "bc"} {
				send(t, pub, topic, "text")
			}
			for _, topic := range []string{"a.", "a.1", "b", "bc"} {
				expect(t, sub, topic+"|text")
			}
			sub.Unsubscribe("b")
			expect(t, pub, "\x00b")
			if err := sub.Unsubscribe("b"); !errors.Is(err, zmtp.ErrNotSubscribed) {
				t.Error(err)
			}
			send(t, pub, "b")
			send(t, pub, "a.end")
			expect(t, sub, "a.end")
			sub.Close()
			expect(t, pub, "\x00a.")
		})
	}
}

func TestClientsAndServer(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		server := socketOf(t, c, zmtp.SERVER, nil)
		at := bind(t, server, endpoint)
		for range 3 {
			client := socketOf(t, c, zmtp.CLIENT, nil)
			connect(t, client, at)
			send(t, client, "question")
			var m zmtp.Message
			if err := server.RecvMessage(t.Context(), &m); err != nil || m.RoutingID == 0 || string(m.Parts[0]) != "question" {
				t.Fatalf("%q from %d: %v", m.Parts, m.RoutingID, err)
			}
			if err := server.SendMessage(t.Context(), &zmtp.Message{Parts: bytesOf([]string{"answer"}), RoutingID: m.RoutingID}); err != nil {
				t.Fatal(err)
			}
			expect(t, client, "answer")
		}
		if err := server.SendMessage(t.Context(), &zmtp.Message{Parts: bytesOf([]string{"x"}), RoutingID: 99}); !errors.Is(err, zmtp.ErrUnreachable) {
			t.Error(err)
		}
	})
}

func TestDishesHearTheirGroups(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		radio, dish := socketOf(t, c, zmtp.RADIO, nil), socketOf(t, c, zmtp.DISH, nil)
		dish.Join("movies")
		connect(t, dish, bind(t, radio, endpoint))
		say := func(group, text string) {
			if err := radio.SendMessage(t.Context(), &zmtp.Message{Parts: bytesOf([]string{text}), Group: group}); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the dish has joined", func() bool {
			say("movies", "early")
			st := radio.Stats()
			return st.Sent > 0
		})
		say("movie", "not this")
		say("movies", "this")
		var m zmtp.Message
		for string(append(m.Parts, nil)[0]) != "this" {
			if err := dish.RecvMessage(t.Context(), &m); err != nil || m.Group != "movies" {
				t.Fatalf("%q: %v", m.Group, err)
			}
		}
		dish.Leave("movies")
	})
}

func TestConnectingBeforeTheOtherSideExists(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		if strings.HasPrefix(endpoint, "tcp") {
			hold := socketOf(t, c, zmtp.PULL, nil)
			endpoint = bind(t, hold, endpoint)
			if err := hold.Close(); err != nil {
				t.Fatal(err)
			}
		}
		push := socketOf(t, c, zmtp.PUSH, nil)
		connect(t, push, endpoint)
		send(t, push, "early")
		pull := socketOf(t, c, zmtp.PULL, nil)
		bind(t, pull, endpoint)
		expect(t, pull, "early")
	})
}

func TestSendWaitsAtTheHighWaterMark(t *testing.T) {
	c := newContext(t)
	push := socketOf(t, c, zmtp.PUSH, &zmtp.Options{SendHighWater: 10, Linger: -1})
	pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{RecvHighWater: 10})
	connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	m := &zmtp.Message{Parts: [][]byte{make([]byte, 100_000)}}
	n := 0
	var err error
	for err == nil {
		if err = push.SendMessage(ctx, m); err == nil {
			n++
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) || push.TrySend(m) != zmtp.ErrWouldBlock {
		t.Fatal(err)
	}
	for range n {
		receive(t, pull)
	}
}
