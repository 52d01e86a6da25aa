package zmtp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/zmtp"
)

func TestPipelineWithLibzmq(t *testing.T) {
	withLibzmq(t, func(t *testing.T, v variant) {
		push, pull := v.pair(zmtp.PUSH, zmtp.Options{}, "PULL", nil)
		for _, size := range []int{0, 1, 255, 256, 70_000, 300_000} {
			send(t, push, strings.Repeat("a", size), "", "end")
			pull.expect(strings.Repeat("a", size) + "||end")
		}
		pull2, push2 := v.pair(zmtp.PULL, zmtp.Options{}, "PUSH", nil)
		for _, size := range []int{0, 1, 255, 256, 70_000, 300_000} {
			push2.send(strings.Repeat("b", size), "", "end")
			expect(t, pull2, strings.Repeat("b", size)+"||end")
		}
		v.l.begin(question{Op: "flood", Name: push2.name, Count: 5000, Size: 100})
		for i := range 5000 {
			expect(t, pull2, fmt.Sprintf("%d %s", i, strings.Repeat("x", 100)))
		}
		v.l.end()
		v.l.begin(question{Op: "drain", Name: pull.name, Count: 5000, Timeout: 20000})
		for i := range 5000 {
			send(t, push, fmt.Sprintf("%d %s", i, strings.Repeat("y", i%500)))
		}
		for i, got := range v.l.end().Parts {
			if got != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, got)
			}
		}
	})
}

func TestPubSubWithLibzmq(t *testing.T) {
	withLibzmq(t, func(t *testing.T, v variant) {
		pub, sub := v.pair(zmtp.XPUB, zmtp.Options{}, "SUB", map[string]any{"SUBSCRIBE": "a."})
		v.l.begin(question{Op: "poll", Name: sub.name, Timeout: 20000}) // libzmq subscribes at new peers only inside a call
		expect(t, pub, "\x01a.")
		send(t, pub, "a.0")
		v.l.end()
		sub.expect("a.0")
		v.l.do(question{Op: "set", Name: sub.name, Options: map[string]any{"SUBSCRIBE": "b"}})
		expect(t, pub, "\x01b")
		for _, topic := range []string{"a", "a.1", "c", "b2"} {
			send(t, pub, topic, "text")
		}
		sub.expect("a.1|text")
		sub.expect("b2|text")
		v.l.do(question{Op: "set", Name: sub.name, Options: map[string]any{"UNSUBSCRIBE": "b"}})
		expect(t, pub, "\x00b")

		ours, their := v.pair(zmtp.SUB, zmtp.Options{}, "XPUB", nil)
		ours.Subscribe("x")
		their.expect("\x01x")
		ours.Subscribe("y")
		their.expect("\x01y")
		their.send("z", "text")
		their.send("x1", "text")
		expect(t, ours, "x1|text")
		ours.Unsubscribe("y")
		their.expect("\x00y")

		xsub, theirPub := v.pair(zmtp.XSUB, zmtp.Options{}, "XPUB", nil)
		send(t, xsub, "\x01topic")
		theirPub.expect("\x01topic")
		send(t, xsub, "not a subscription")
		theirPub.expect("not a subscription")
		theirPub.send("topic 1")
		expect(t, xsub, "topic 1")
		send(t, xsub, "\x00topic")
		theirPub.expect("\x00topic")
	})
}

func TestRequestReplyWithLibzmq(t *testing.T) {
	withLibzmq(t, func(t *testing.T, v variant) {
		req, rep := v.pair(zmtp.REQ, zmtp.Options{ReqCorrelate: true}, "REP", nil)
		for i := range 10 {
			send(t, req, fmt.Sprint(i), "x")
			rep.expect(fmt.Sprint(i) + "|x")
			rep.send("reply", fmt.Sprint(i))
			expect(t, req, "reply|"+fmt.Sprint(i))
		}
		if v.weBind || v.sec.name == "NULL" { // a REQ of libzmq 4.3 that is the server of PLAIN or CURVE never gets a reply, from libzmq either
			ourRep, theirReq := v.pair(zmtp.REP, zmtp.Options{}, "REQ", map[string]any{"REQ_CORRELATE": 1, "REQ_RELAXED": 1})
			for i := range 10 {
				theirReq.send("q", fmt.Sprint(i))
				expect(t, ourRep, "q|"+fmt.Sprint(i))
				send(t, ourRep, "a")
				theirReq.expect("a")
			}
		}
		router, dealer := v.pair(zmtp.ROUTER, zmtp.Options{RouterMandatory: true}, "DEALER", map[string]any{"IDENTITY": "ann"})
		dealer.send("", "hello")
		expect(t, router, "ann||hello")
		send(t, router, "ann", "", "hi")
		dealer.expect("|hi")
		ourDealer, theirRouter := v.pair(zmtp.DEALER, zmtp.Options{Identity: "bob", ProbeRouter: true}, "ROUTER", map[string]any{"ROUTER_MANDATORY": 1})
		theirRouter.expect("bob|")
		send(t, ourDealer, "hello")
		theirRouter.expect("bob|hello")
		theirRouter.send("bob", "hi")
		expect(t, ourDealer, "hi")
		ourRouter, otherRouter := v.pair(zmtp.ROUTER, zmtp.Options{Identity: "left"}, "ROUTER", map[string]any{"IDENTITY": "right", "PROBE_ROUTER": 1})
		v.l.begin(question{Op: "poll", Name: otherRouter.name, Timeout: 20000})
		expect(t, ourRouter, "right|")
		send(t, ourRouter, "right", "x")
		v.l.end()
		otherRouter.expect("left|x")
	})
}

func TestPairWithLibzmq(t *testing.T) {
	withLibzmq(t, func(t *testing.T, v variant) {
		ours, their := v.pair(zmtp.PAIR, zmtp.Options{}, "PAIR", nil)
		for i := range 20 {
			send(t, ours, fmt.Sprint(i))
			their.expect(fmt.Sprint(i))
			their.send("and", fmt.Sprint(i))
			expect(t, ours, "and|"+fmt.Sprint(i))
		}
	})
}
