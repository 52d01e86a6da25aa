package zmtp_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/zmtp"
)

// stuck connects peers of a type that read nothing. after is what they say then.
func stuck(t *testing.T, at, typ, after string, n int) (all []net.Conn) {
	t.Helper()
	for range n {
		conn := speak(t, at, typ)
		conn.(*net.TCPConn).SetReadBuffer(4096)
		conn.Write([]byte(after))
		all = append(all, conn)
	}
	return all
}

// Peers that take nothing are ended when unsent messages have reached the limit. What waited for them goes to those that take.
func TestPushEndsPeersThatTakeNothingAtItsSendLimit(t *testing.T) {
	const limit, size, n = 1 << 20, 20_000, 4
	var seen events
	push := socketOf(t, newContext(t), zmtp.PUSH, &zmtp.Options{SendLimit: limit, Monitor: seen.add, Linger: -1})
	at := bind(t, push, "tcp://127.0.0.1:*")
	stuck(t, at, "PULL", "", n)
	eventually(t, "they are there", func() bool { return push.Stats().Peers == n })
	sent := make(chan int)
	over := make(chan struct{})
	go func() {
		i := 0
		for ; ; i++ {
			select {
			case <-over:
				sent <- i
				return
			default:
			}
			if push.Send(fmt.Append(nil, i), make([]byte, size)) != nil {
				t.Error("a Send failed")
			}
		}
	}()
	eventually(t, "the limit is reached", func() bool { return push.Stats().UnsentBytes >= limit })
	pull := socketOf(t, newContext(t), zmtp.PULL, nil)
	connect(t, pull, at)
	got := map[string]bool{}
	for m := new(zmtp.Message); ; {
		if err := pull.RecvMessage(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got[string(m.Parts[0])] {
			t.Fatalf("message %s came twice", m.Parts[0])
		}
		got[string(m.Parts[0])] = true
		st := push.Stats()
		if st.UnsentBytes > limit+n*4*size {
			t.Fatalf("%d bytes wait", st.UnsentBytes)
		}
		if st.Evicted == n && st.Peers == 1 {
			break
		}
	}
	if e := seen.find(zmtp.Disconnected); !errors.Is(e.Err, zmtp.ErrMemory) {
		t.Error(e.Err)
	}
	close(over)
	last := 0
	for ended := false; !ended; {
		m := new(zmtp.Message)
		select {
		case last = <-sent:
			ended = true
		default:
			if pull.TryRecv(m) == nil {
				got[string(m.Parts[0])] = true
			}
		}
	}
	send(t, push, "end", "")
	for m := new(zmtp.Message); !got["end"]; {
		if err := pull.RecvMessage(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got[string(m.Parts[0])] = true
	}
	eventually(t, "nothing waits", func() bool { return push.Stats().UnsentBytes == 0 })
	// What is missing had been handed to the system for those that took nothing.
	if missing := last + 1 - len(got); missing > last/2 && missing > n*16<<20/size {
		t.Errorf("%d of %d messages are missing", missing, last)
	}
}

// A publisher drops for subscribers that take nothing, and the others go on.
func TestPublisherKeepsToItsSendLimit(t *testing.T) {
	const limit, n = 1 << 20, 6
	for _, size := range []int{500, 50_000} {
		pub := socketOf(t, newContext(t), zmtp.XPUB, &zmtp.Options{SendLimit: limit, Linger: -1, XPubVerbose: true})
		at := bind(t, pub, "tcp://127.0.0.1:*")
		all := stuck(t, at, "SUB", command("SUBSCRIBE", ""), n)
		sub := socketOf(t, newContext(t), zmtp.SUB, nil)
		sub.Subscribe("")
		connect(t, sub, at)
		for range n + 1 {
			expect(t, pub, "\x01")
		}
		body := strings.Repeat("x", size)
		eventually(t, "subscribers that take nothing are ended", func() bool {
			for range 100 {
				send(t, pub, body)
				// Each may have one piece more than the limit, of 64 KiB at most.
				if st := pub.Stats(); st.UnsentBytes > 2*limit+n*64<<10 {
					t.Fatalf("%d bytes wait", st.UnsentBytes)
				}
			}
			expect(t, sub, body)
			return pub.Stats().Evicted > 0
		})
		if st := pub.Stats(); st.Dropped == 0 {
			t.Errorf("nothing was dropped")
		}
		for _, conn := range all {
			conn.Close()
		}
		eventually(t, "nothing waits", func() bool {
			for m := new(zmtp.Message); sub.TryRecv(m) == nil; {
			}
			return pub.Stats().UnsentBytes == 0
		})
	}
}

// What comes in part, and subscriptions, count for the connection: those that hold the most are reset.
func TestUnfinishedMessagesAndSubscriptionsCountForTheMemoryLimit(t *testing.T) {
	var partial, topics strings.Builder
	partial.WriteString("\x02\x00\x00\x00\x00\x04\x00\x00\x00" + strings.Repeat("x", 900<<10))
	for i := range 5000 {
		topics.WriteString(command("SUBSCRIBE", fmt.Sprintf("%0100d", i)))
	}
	for _, side := range []struct {
		ours        zmtp.Type
		their, says string
	}{{zmtp.PULL, "PUSH", partial.String()}, {zmtp.PUB, "SUB", topics.String()}} {
		var seen events
		c := &zmtp.Context{Engine: *engine, Loops: 1, MemoryLimit: 8 << 20}
		t.Cleanup(func() { c.Close() })
		s := socketOf(t, c, side.ours, &zmtp.Options{Monitor: seen.add})
		at := bind(t, s, "tcp://127.0.0.1:*")
		stuck(t, at, side.their, side.says, 30)
		eventually(t, "some are reset", func() bool { return seen.find(zmtp.Disconnected) != nil })
		if e := seen.find(zmtp.Disconnected); !errors.Is(e.Err, switchboard.ErrMemory) {
			t.Error(e.Err)
		}
	}
}
