package selector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// Whatever is done to descriptors and registrations, every mechanism reports the same. What must hold is what epoll says.
func TestMechanismsAgree(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if s.Mechanism() == "epoll" {
			t.Skip("it is what the others are compared with")
		}
		known := Read | Write
		if s.hangs() {
			known |= Hangup
		}
		for seed := range uint64(20) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) { agree(t, s, opened(t, "epoll"), known, seed) })
		}
	})
}

func agree(t *testing.T, s, epoll *Selector, known Events, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	type end struct {
		fd, peer   int
		registered Events
		closed     bool // the peer
	}
	var ends []*end
	open := func() {
		a, b := testsocket.Pair(t)
		ends = append(ends, &end{fd: a, peer: b})
	}
	for range 5 {
		open()
	}
	defer func() {
		for _, e := range ends {
			if e.registered != 0 {
				s.Unregister(e.fd)
			}
			unix.Close(e.fd)
			if !e.closed {
				unix.Close(e.peer)
			}
		}
	}()
	events := func() Events {
		for {
			if ev := Events(random.Uint32()) & known; ev != 0 {
				return ev
			}
		}
	}
	var log []string
	for step := range 400 {
		e := ends[random.IntN(len(ends))]
		act := random.IntN(12)
		log = append(log, fmt.Sprintf("%d: act %d on %d (%v)", step, act, e.fd, e.registered))
		switch {
		case act == 0 && !e.closed:
			unix.Write(e.peer, one[:])
		case act == 1:
			unix.Read(e.fd, make([]byte, 1+random.IntN(3)))
		case act == 2 && random.IntN(4) == 0 && !e.closed:
			unix.Shutdown(e.peer, unix.SHUT_WR)
		case act == 3 && random.IntN(4) == 0:
			unix.Shutdown(e.fd, unix.SHUT_WR)
		case act == 4 && random.IntN(4) == 0 && !e.closed:
			unix.Close(e.peer)
			e.closed = true
		case act == 5 && random.IntN(2) == 0: // the descriptor's number goes to another connection
			if e.registered != 0 {
				for _, s := range []*Selector{s, epoll} {
					_, err := s.Forget(e.fd)
					must(t, err)
				}
			}
			unix.Close(e.fd)
			if !e.closed {
				unix.Close(e.peer)
			}
			ends = slices.DeleteFunc(ends, func(x *end) bool { return x == e })
			open()
		case act == 6 && e.registered != 0:
			drop := (*Selector).Unregister
			if random.IntN(2) == 0 {
				drop = (*Selector).Forget // and not closed
			}
			for _, s := range []*Selector{s, epoll} {
				_, err := drop(s, e.fd)
				must(t, err)
			}
			e.registered = 0
		case act > 6 && e.registered == 0:
			e.registered = events()
			register(t, s, e.fd, e.registered, nil)
			register(t, epoll, e.fd, e.registered, nil)
		case act > 6:
			e.registered = events()
			must(t, s.Modify(e.fd, e.registered, nil))
			must(t, epoll.Modify(e.fd, e.registered, nil))
		}
		for range 1 + random.IntN(2) {
			want, err := epoll.Select(0)
			must(t, err)
			got, err := s.Select(0)
			must(t, err)
			if a, b := sorted(got), sorted(want); !slices.Equal(a, b) {
				t.Fatalf("seed %d:\n%v\nreported %v, epoll %v", seed, log, a, b)
			}
		}
	}
}

func sorted(ready []Ready) []Ready {
	ready = slices.Clone(ready)
	slices.SortFunc(ready, func(a, b Ready) int { return a.Key.FD - b.Key.FD })
	return ready
}
