package zmtp_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/zmtp"
)

// Each sends more than all queues between the two hold before it receives anything of the other's.
func TestTwoThatFloodEachOtherDoNotWaitForEachOther(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		a, b := socketOf(t, c, zmtp.DEALER, nil), socketOf(t, c, zmtp.DEALER, nil)
		connect(t, b, bind(t, a, endpoint))
		const n = 3000
		var wg sync.WaitGroup
		for _, s := range []*zmtp.Socket{a, b} {
			wg.Go(func() {
				for i := range n {
					if err := s.Send([]byte(strconv.Itoa(i)), make([]byte, 10_000)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			wg.Go(func() {
				for i := range n {
					if parts, err := s.Recv(); err != nil || string(parts[0]) != strconv.Itoa(i) {
						t.Errorf("message %d: %.20q, %v", i, parts, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestPublisherDropsForWhoReadsTooSlowlyAndCounts(t *testing.T) {
	c := newContext(t)
	pub := socketOf(t, c, zmtp.XPUB, &zmtp.Options{SendHighWater: 10, Linger: -1})
	at := bind(t, pub, "tcp://127.0.0.1:*")
	slow := speak(t, at, "SUB") // which reads nothing
	slow.Write([]byte(command("SUBSCRIBE", "")))
	expect(t, pub, "\x01")
	good := socketOf(t, c, zmtp.SUB, nil)
	good.Subscribe("")
	connect(t, good, at)
	eventually(t, "both are there", func() bool { return pub.Stats().Peers == 2 })
	body := make([]byte, 100_000)
	received := make(chan int)
	go func() {
		n := 0
		for {
			if parts, err := good.Recv(); err != nil || string(parts[0]) == "end" {
				received <- n
				return
			}
			n++
		}
	}()
	const n = 500
	for range n {
		if err := pub.Send(body); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond / 2) // the pace of the one that reads
	}
	if dropped := pub.Stats().Dropped; dropped == 0 {
		t.Error("nothing was dropped for a subscriber that reads nothing")
	}
	got := 0
	eventually(t, "the good one has its end", func() bool {
		pub.Send([]byte("end"))
		select {
		case got = <-received:
			return true
		default:
			return false
		}
	})
	if lost := int64(n - got); lost > pub.Stats().Dropped {
		t.Errorf("%d messages are missing, %d were counted", lost, pub.Stats().Dropped)
	}
}

func TestNoDropWaitsForSubscribers(t *testing.T) {
	c := newContext(t)
	pub := socketOf(t, c, zmtp.XPUB, &zmtp.Options{SendHighWater: 5, NoDrop: true})
	sub := socketOf(t, c, zmtp.SUB, &zmtp.Options{RecvHighWater: 5})
	sub.Subscribe("")
	connect(t, sub, bind(t, pub, "tcp://127.0.0.1:*"))
	expect(t, pub, "\x01")
	const n = 300
	go func() {
		for i := range n {
			pub.Send([]byte(strconv.Itoa(i)), make([]byte, 50_000))
		}
	}()
	for i := range n {
		if got := receive(t, sub); !strings.HasPrefix(got, strconv.Itoa(i)+"|") {
			t.Fatalf("message %d is %.10q", i, got)
		}
	}
}

func TestConflateKeepsTheLastMessage(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		pull, push := socketOf(t, c, zmtp.PULL, &zmtp.Options{Conflate: true}), socketOf(t, c, zmtp.PUSH, nil)
		connect(t, push, bind(t, pull, endpoint))
		for i := range 1000 {
			send(t, push, strconv.Itoa(i))
		}
		eventually(t, "all have come", func() bool { st := pull.Stats(); return st.Dropped+int64(st.Waiting) == 1000 })
		expect(t, pull, "999")
		if err := pull.TryRecv(new(zmtp.Message)); err != zmtp.ErrWouldBlock {
			t.Error(err)
		}
	})
}

func TestDeviceCarriesBothWays(t *testing.T) {
	c := newContext(t)
	front, back := socketOf(t, c, zmtp.ROUTER, nil), socketOf(t, c, zmtp.DEALER, nil)
	front.SetDeadline(time.Time{})
	back.SetDeadline(time.Time{})
	frontAt, backAt := bind(t, front, "tcp://127.0.0.1:*"), bind(t, back, "inproc://workers")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- zmtp.Device{Front: front, Back: back}.Run(ctx) }()
	var served atomic.Int64
	for range 3 {
		worker := socketOf(t, c, zmtp.REP, &zmtp.Options{Handler: func(_ *zmtp.Socket, m *zmtp.Message) {
			served.Add(1)
			m.Reply(m.Parts...)
		}})
		connect(t, worker, backAt)
	}
	var wg sync.WaitGroup
	for range 4 {
		req := socketOf(t, c, zmtp.REQ, nil)
		connect(t, req, frontAt)
		wg.Go(func() {
			for i := range 200 {
				if err := req.Send([]byte(strconv.Itoa(i))); err != nil {
					t.Error(err)
					return
				}
				if parts, err := req.Recv(); err != nil || string(parts[0]) != strconv.Itoa(i) {
					t.Error(parts, err)
					return
				}
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || served.Load() != 800 {
		t.Error(err, served.Load())
	}
}

func TestOptionsAndCallsThatMakeNoSense(t *testing.T) {
	c := newContext(t)
	for _, o := range []zmtp.Options{{Identity: "\x00"}, {Identity: strings.Repeat("i", 256)}, {MaxPeers: -1}, {HeartbeatTTL: 2 * time.Hour},
		{Metadata: map[string]string{"Name": "x"}}, {Security: zmtp.PlainServer{}}, {Security: zmtp.CurveServer{}},
		{Security: zmtp.CurveClient{}}, {Handler: func(*zmtp.Socket, *zmtp.Message) {}}, {Conflate: true}} {
		if _, err := c.NewSocket(map[bool]zmtp.Type{true: zmtp.ROUTER, false: zmtp.PUSH}[o.Conflate], &o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	s := socketOf(t, c, zmtp.PUSH, nil)
	for _, endpoint := range []string{"", "127.0.0.1:1", "udp://127.0.0.1:1", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:nowhere", "inproc://" + strings.Repeat("n", 300), "tcp://a;b:1"} {
		if _, err := s.Bind(endpoint); err == nil {
			t.Errorf("bound to %q", endpoint)
		}
		if err := s.Connect(endpoint); err == nil {
			t.Errorf("connected to %q", endpoint)
		}
	}
	for _, endpoint := range []string{"tcp://*:1", "tcp://127.0.0.1:0"} {
		if err := s.Connect(endpoint); err == nil {
			t.Errorf("connected to %q", endpoint)
		}
	}
	at := bind(t, s, "tcp://127.0.0.1:*")
	if _, err := s.Bind(at); err == nil {
		t.Error("bound twice")
	}
	if err := s.Unbind(at); err != nil {
		t.Error(err)
	}
	bind(t, s, at)
	if err := s.Unbind("tcp://127.0.0.1:1"); err == nil {
		t.Error("unbound from what was never bound")
	}
	if err := s.Disconnect("tcp://127.0.0.1:1"); err == nil {
		t.Error("disconnected from what was never connected")
	}
	if err := s.Send(); err == nil {
		t.Error("a message without parts was sent")
	}
	large := make([]byte, 64<<20)
	if err := s.Send(slices.Repeat([][]byte{large}, 17)...); !errors.Is(err, zmtp.ErrTooLarge) {
		t.Errorf("a message of more than 1 GiB: %v", err)
	}
	if _, err := s.Recv(); !errors.Is(err, zmtp.ErrNotSupported) {
		t.Error(err)
	}
}

func TestDisconnectSendsWhatIsQueued(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		pull, push := socketOf(t, c, zmtp.PULL, nil), socketOf(t, c, zmtp.PUSH, nil)
		at := bind(t, pull, endpoint)
		connect(t, push, at)
		eventually(t, "they are connected", func() bool { return push.Stats().Peers == 1 })
		for i := range 500 {
			send(t, push, strconv.Itoa(i))
		}
		if err := push.Disconnect(at); err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			expect(t, pull, strconv.Itoa(i))
		}
		eventually(t, "it is gone", func() bool { return pull.Stats().Peers+push.Stats().Peers == 0 })
		if err := push.TrySend(&zmtp.Message{Parts: [][]byte{nil}}); err != zmtp.ErrWouldBlock {
			t.Error(err)
		}
	})
}

func TestStaleIPCFilesAreReplaced(t *testing.T) {
	systest.NeedUnix(t)
	c := newContext(t)
	path := t.TempDir() + "/s"
	first := socketOf(t, c, zmtp.PULL, nil)
	bind(t, first, "ipc://"+path)
	second := socketOf(t, c, zmtp.PULL, nil)
	if _, err := second.Bind("ipc://" + path); err == nil {
		t.Fatal("bound to an endpoint that another listens on")
	}
	if err := os.WriteFile(path+"2", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Bind("ipc://" + path + "2"); err == nil {
		t.Fatal("a file that is no socket was replaced")
	}
}
