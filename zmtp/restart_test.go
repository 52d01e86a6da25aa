package zmtp_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

// A PULL that was connected and takes nothing is killed with messages on the way, and comes back: what the dead one's
// connection had not taken arrives, in order and without a gap.
func TestPushLosesNothingThatAKilledPeerHadNotTaken(t *testing.T) {
	for _, sec := range securities(t) {
		if sec.name == "PLAIN" {
			continue // as NULL, once it is connected
		}
		t.Run(sec.name, func(t *testing.T) {
			c := newContext(t)
			o := sec.ours(false)
			var seen events
			o.Monitor = seen.add
			o.ReconnectMin, o.ReconnectMax = 10*time.Millisecond, 50*time.Millisecond
			o.HighWaterBytes = 64 << 20
			push := socketOf(t, c, zmtp.PUSH, &o)
			options := sec.theirs(true)
			options["RCVHWM"] = 1
			first := startLibzmq(t)
			endpoint := first.socket("PULL", options).bind("tcp://127.0.0.1:*")
			connect(t, push, endpoint)
			const size = 10_000
			n := 0
			for full := false; !full; {
				m := &zmtp.Message{Parts: [][]byte{[]byte(strconv.Itoa(n) + " " + strings.Repeat("x", size))}}
				switch err := push.TrySend(m); err {
				case nil:
					n++
				case zmtp.ErrWouldBlock:
					sent := push.Stats().Sent
					time.Sleep(50 * time.Millisecond) // long enough, if the peer could take more, for it to
					full = sent == push.Stats().Sent && sent > 0
				default:
					t.Fatal(err)
				}
			}
			first.kill()
			eventually(t, "the end is noticed", func() bool { return seen.find(zmtp.Disconnected) != nil })
			second := startLibzmq(t)
			their := second.socket("PULL", sec.theirs(true))
			their.bind(endpoint)
			send(t, push, "end ")
			got := second.do(question{Op: "drain", Name: their.name, Timeout: 3000}).Parts
			if len(got) < 400 || got[len(got)-1] != "end" {
				t.Fatalf("%d messages came", len(got))
			}
			begin, _ := strconv.Atoi(got[0])
			if begin == 0 || begin+len(got)-1 != n {
				t.Errorf("%d messages from number %d on came, of %d", len(got)-1, begin, n)
			}
			for i, number := range got[:len(got)-1] {
				if number != strconv.Itoa(begin+i) {
					t.Fatalf("message %s came where %d was due", number, begin+i)
				}
			}
		})
	}
}

// One of two PULLs is killed under load: the other gets what that one had not taken.
func TestPushGivesAKilledPeersMessagesToAnother(t *testing.T) {
	c := newContext(t)
	push := socketOf(t, c, zmtp.PUSH, &zmtp.Options{SendHighWater: 100})
	at := bind(t, push, "tcp://127.0.0.1:*")
	dead, alive := startLibzmq(t), startLibzmq(t)
	dead.socket("PULL", map[string]any{"RCVHWM": 1}).connect(at)
	eventually(t, "it is connected", func() bool { return push.Stats().Peers == 1 })
	n := 0
	for full := false; !full; {
		switch err := push.TrySend(&zmtp.Message{Parts: [][]byte{[]byte(strconv.Itoa(n) + " " + strings.Repeat("x", 10_000))}}); err {
		case nil:
			n++
		case zmtp.ErrWouldBlock:
			sent := push.Stats().Sent
			time.Sleep(50 * time.Millisecond)
			full = sent == push.Stats().Sent && sent > 0
		}
	}
	their := alive.socket("PULL", nil)
	their.connect(at)
	eventually(t, "the other is connected", func() bool { return push.Stats().Peers == 2 })
	dead.kill()
	got := alive.do(question{Op: "drain", Name: their.name, Timeout: 3000}).Parts
	if len(got) < 100 || got[len(got)-1] != strconv.Itoa(n-1) {
		t.Fatalf("%d messages came, the last is %v of %d", len(got), got[max(0, len(got)-1):], n)
	}
	begin, _ := strconv.Atoi(got[0])
	for i, number := range got {
		if number != strconv.Itoa(begin+i) {
			t.Fatalf("message %s came where %d was due", number, begin+i)
		}
	}
}

func TestReqRecoversWhenItsPeerDies(t *testing.T) {
	c := newContext(t)
	req := socketOf(t, c, zmtp.REQ, &zmtp.Options{ReconnectMin: 10 * time.Millisecond, ReconnectMax: 50 * time.Millisecond})
	first := startLibzmq(t)
	rep := first.socket("REP", nil)
	endpoint := rep.bind("tcp://127.0.0.1:*")
	connect(t, req, endpoint)
	send(t, req, "hello")
	rep.expect("hello")
	first.kill()
	if _, err := req.Recv(); !errors.Is(err, zmtp.ErrPeerLost) {
		t.Fatalf("after its peer's death: %v", err)
	}
	send(t, req, "again")
	second := startLibzmq(t)
	rep = second.socket("REP", nil)
	rep.bind(endpoint)
	rep.expect("again")
	rep.send("here")
	expect(t, req, "here")
}

// A peer that was away for long is found again soon: a REQ that waits for five seconds, as most do, must not give up meanwhile.
func TestReconnectingSlowsDownToASecond(t *testing.T) {
	t.Parallel()
	waits := make(chan time.Duration, 100)
	req := socketOf(t, newContext(t), zmtp.REQ, &zmtp.Options{Monitor: func(e zmtp.Event) {
		if e.Kind == zmtp.ConnectFailed {
			waits <- e.RetryIn
		}
	}})
	connect(t, req, "ipc://"+filepath.Join(t.TempDir(), "nobody"))
	longest := time.Duration(0)
	for range 7 { // 100, 200, 400, 800 ms, and then the longest
		select {
		case d := <-waits:
			longest = max(longest, d)
		case <-time.After(patience):
			t.Fatal("it is not tried again")
		}
	}
	if longest < 400*time.Millisecond || longest > time.Second {
		t.Errorf("the longest wait is %v", longest)
	}
}

func TestSubscribersSubscribeAgain(t *testing.T) {
	c := newContext(t)
	sub := socketOf(t, c, zmtp.SUB, &zmtp.Options{ReconnectMin: 10 * time.Millisecond, ReconnectMax: 50 * time.Millisecond})
	sub.Subscribe("a")
	endpoint := ""
	for i := range 3 {
		l := startLibzmq(t)
		pub := l.socket("XPUB", nil)
		if i == 0 {
			endpoint = pub.bind("tcp://127.0.0.1:*")
			connect(t, sub, endpoint)
		} else {
			pub.bind(endpoint)
		}
		pub.expect("\x01a")
		pub.send("b", fmt.Sprint(i))
		pub.send("a", fmt.Sprint(i))
		expect(t, sub, "a|"+fmt.Sprint(i))
		l.kill()
	}
	// And theirs at ours.
	l := startLibzmq(t)
	their := l.socket("SUB", map[string]any{"SUBSCRIBE": "a", "RECONNECT_IVL": 10})
	at := "tcp://127.0.0.1:*"
	for i := range 3 {
		pub := socketOf(t, c, zmtp.XPUB, nil)
		bound := bind(t, pub, at)
		if i == 0 {
			at = bound
			their.connect(at)
		}
		l.begin(question{Op: "poll", Name: their.name, Timeout: 20000}) // libzmq subscribes again only inside a call
		expect(t, pub, "\x01a")
		send(t, pub, "a", fmt.Sprint(i))
		l.end()
		their.expect("a|" + fmt.Sprint(i))
		if err := pub.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Their PUSH goes on sending while our PULL is closed and made anew: every message comes once, in order, but for those that
// the closed one had taken.
func TestPullRestartsUnderLoad(t *testing.T) {
	c := newContext(t)
	l := startLibzmq(t)
	push := l.socket("PUSH", map[string]any{"RECONNECT_IVL": 10})
	at := "tcp://127.0.0.1:*"
	const n = 30000
	last := -1
	for i := range 4 {
		pull := socketOf(t, c, zmtp.PULL, nil)
		bound := bind(t, pull, at)
		if i == 0 {
			at = bound
			push.connect(at)
			l.begin(question{Op: "flood", Name: push.name, Count: n, Size: 1000})
		}
		for k := 0; k < 2000 || i == 3; k++ {
			m := receive(t, pull)
			number, _ := strconv.Atoi(strings.Fields(m)[0])
			if number <= last {
				t.Fatalf("message %d came after %d", number, last)
			}
			if last = number; last == n-1 {
				break
			}
		}
		if last == n-1 && i < 3 {
			t.Fatal("too few messages to restart under load")
		}
		pull.Close()
	}
	l.end()
}

func TestNothingIsLostInAnOrderlyEnd(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		pull := socketOf(t, c, zmtp.PULL, nil)
		push := socketOf(t, c, zmtp.PUSH, nil)
		connect(t, push, bind(t, pull, endpoint))
		const n = 3000
		done := make(chan error, 1)
		go func() {
			for i := range n {
				push.Send([]byte(fmt.Sprint(i, " ", strings.Repeat("x", 2000))))
			}
			done <- push.Close()
		}()
		for i := range n {
			if m := receive(t, pull); !strings.HasPrefix(m, fmt.Sprint(i, " ")) {
				t.Fatalf("message %d is %.20q", i, m)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseTellsWhatWasNotSent(t *testing.T) {
	c := newContext(t)
	push := socketOf(t, c, zmtp.PUSH, &zmtp.Options{Linger: 20 * time.Millisecond})
	connect(t, push, "tcp://127.0.0.1:1")
	for range 3 {
		send(t, push, "nobody will have this")
	}
	if err := push.Close(); !errors.Is(err, zmtp.ErrUnsent) || !strings.Contains(err.Error(), "3 messages") {
		t.Errorf("%v", err)
	}
	if err := push.Send(nil); !errors.Is(err, zmtp.ErrClosed) {
		t.Error(err)
	}
}

// Close waits for a peer that is not there yet.
func TestCloseLingersForAPeerThatComesLate(t *testing.T) {
	for _, sec := range securities(t) {
		if sec.name == "PLAIN" {
			continue
		}
		c := newContext(t)
		hold := socketOf(t, c, zmtp.PULL, nil)
		at := bind(t, hold, "tcp://127.0.0.1:*")
		hold.Close()
		o := sec.ours(false)
		push := socketOf(t, c, zmtp.PUSH, &o)
		connect(t, push, at)
		send(t, push, "late")
		closed := make(chan error, 1)
		go func() { closed <- push.Close() }()
		eventually(t, "it closes", func() bool { return errors.Is(push.TrySend(&zmtp.Message{Parts: [][]byte{nil}}), zmtp.ErrClosed) })
		o = sec.ours(true)
		pull := socketOf(t, c, zmtp.PULL, &o)
		bind(t, pull, at)
		expect(t, pull, "late")
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
}
