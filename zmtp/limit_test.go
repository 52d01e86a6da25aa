package zmtp_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/switchboard-go/switchboard/zmtp"
)

// What peers have sent, and those that are gone since, has a limit in all; and nothing of it is lost.
func TestWhatWaitsFromAllPeersIsLimited(t *testing.T) {
	const peers, each, size, limit = 60, 20, 50_000, 1 << 20
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{RecvLimit: limit})
		at := bind(t, pull, endpoint)
		var all sync.WaitGroup
		defer all.Wait()
		for i := range peers {
			from := c
			if !strings.HasPrefix(at, "inproc") && i%2 == 0 {
				from = newContext(t)
			}
			push := socketOf(t, from, zmtp.PUSH, nil)
			connect(t, push, at)
			all.Go(func() {
				for n := range each {
					if err := push.Send(fmt.Append(nil, i, " ", n), bytes.Repeat([]byte{byte(i)}, size)); err != nil {
						t.Error(err)
					}
				}
				if err := push.Close(); err != nil { // it is gone when all is with the system, or with pull
					t.Error(err)
				}
			})
		}
		eventually(t, "the limit is reached", func() bool { return pull.Stats().WaitingBytes >= limit })
		seen := map[string]bool{}
		for m := new(zmtp.Message); len(seen) < peers*each; {
			// A peer that was not paused yet may bring one read, and the end of a message.
			if st := pull.Stats(); st.WaitingBytes > limit+peers*(128<<10+size) {
				t.Fatalf("%d bytes wait", st.WaitingBytes)
			}
			if err := pull.RecvMessage(t.Context(), m); err != nil {
				t.Fatalf("after %d messages: %v", len(seen), err)
			}
			name := string(m.Parts[0])
			if seen[name] || len(m.Parts[1]) != size {
				t.Fatalf("%q again, or cut", name)
			}
			seen[name] = true
		}
		if st := pull.Stats(); st.WaitingBytes != 0 || st.Waiting != 0 {
			t.Errorf("%d messages of %d bytes are said to wait", st.Waiting, st.WaitingBytes)
		}
		if err := pull.TryRecv(new(zmtp.Message)); !errors.Is(err, zmtp.ErrWouldBlock) {
			t.Errorf("there is more: %v", err)
		}
	})
}

// Clients that come, send and go one after another cannot fill the memory either.
func TestWhatWaitsFromPeersThatWentIsLimited(t *testing.T) {
	const limit = 1 << 20
	c := newContext(t)
	pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{RecvLimit: limit})
	at := bind(t, pull, "tcp://127.0.0.1:*")
	sent := 0
	var closing sync.WaitGroup
	defer closing.Wait()
	for range 100 {
		push := socketOf(t, c, zmtp.PUSH, &zmtp.Options{Linger: -1})
		connect(t, push, at)
		send(t, push, strings.Repeat("x", 60_000))
		eventually(t, "it is with the system", func() bool { return push.Stats().Sent == 1 })
		closing.Go(func() { push.Close() }) // which waits for its peer to have read
		sent++
		if st := pull.Stats(); st.WaitingBytes > limit+128<<10 {
			t.Fatalf("%d bytes wait after %d clients", st.WaitingBytes, sent)
		}
	}
	if st := pull.Stats(); st.WaitingBytes < limit/2 {
		t.Errorf("only %d bytes wait", st.WaitingBytes)
	}
}
