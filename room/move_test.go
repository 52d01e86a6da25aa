package room

import (
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// restart has another hub take over, or fail to. Every connection moves.
func (w *world) restart(keepers []*seat) {
	a, b := net.Pipe()
	data, err := w.hub.hand(a, func(Loop) bool { return true })
	if err != nil {
		w.t.Fatal(err)
	}
	next := &Hub{Options: w.hub.Options}
	if err := next.take(b, data); err != nil {
		w.t.Fatal(err)
	}
	fails := w.rng.IntN(3) == 0
	type moving struct {
		p      *seat
		link   *handLink
		member *Member
	}
	var all []moving
	for _, p := range append(keepers, w.here...) {
		if p.link.expelled || p.member.In(p.s.room.name).dead {
			continue // its connection is at its end
		}
		st, err := p.member.Move()
		if err != nil {
			w.t.Fatal(err)
		}
		link := *p.link
		link.waiting, link.got = nil, append([]byte(nil), p.link.got...)
		m, err := next.MovedMember(&link, line, st.Data)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, moving{p, &link, m})
	}
	next.Taken(!fails)
	w.hub.Handed(!fails)
	if fails {
		for _, m := range all {
			m.link.gone = true
			m.member.Ended(switchboard.ErrNotMoved)
		}
		return
	}
	for _, m := range all {
		m.p.link.gone = true
		m.p.member.Ended(switchboard.ErrMoved)
		m.link.loop.links = append(m.link.loop.links, m.link)
		m.p.link, m.p.member, m.p.s = m.link, m.member, m.member.In(m.p.s.room.name)
	}
	var here []*seat
	for _, p := range w.here {
		if p.s.room.hub == next {
			here = append(here, p)
		} else { // it is expelled there
			p.left, p.until = true, w.last[p.s.room.name]
			p.member.Leave()
		}
	}
	w.here, w.hub = here, next
	for end := time.Now().Add(time.Minute); next.isAway(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			w.t.Fatal("members stay in the process before")
		}
	}
}

// isAway tells whether members are in the process before this one.
func (h *Hub) isAway() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		r.mu.Lock()
		n := len(r.away)
		r.mu.Unlock()
		if n > 0 {
			return true
		}
	}
	return false
}

// Everybody gets exactly what was published while it was there, or it is counted, across restarts.
func TestModelAcrossRestarts(t *testing.T) {
	const seeds = 12
	for _, policy := range []Policy{DropOldest, DropNewest, KeepLatest, Disconnect} {
		t.Run(policy.String(), func(t *testing.T) {
			for seed := range uint64(seeds) {
				w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), last: map[string]uint64{}}
				w.hub = &Hub{Options: Options{Policy: policy, Queue: 1000, Backlog: 4000, History: History{Messages: 10, Bytes: 1000}}}
				for range 3 {
					w.loops = append(w.loops, new(handLoop))
				}
				var keepers []*seat
				for _, name := range []string{"room0", "room1"} {
					p := &seat{link: &handLink{loop: w.loops[0], room: 1 << 30}}
					p.member = w.hub.Member(p.link, line, "keeper")
					var err error
					if p.s, err = p.member.Join(name, nil); err != nil {
						t.Fatal(err)
					}
					keepers = append(keepers, p)
				}
				for range 500 {
					switch n := w.rng.IntN(80); {
					case n < 8:
						w.join()
					case n < 12 && len(w.here) > 0:
						w.leave(w.rng.IntN(len(w.here)))
					case n < 46:
						w.publish()
					case n < 62:
						w.loops[w.rng.IntN(3)].run()
					case n < 64:
						w.restart(keepers)
					case len(w.here) > 0:
						if p := w.here[w.rng.IntN(len(w.here))]; !p.steady {
							p.link.read(w.rng.IntN(4))
						}
					}
				}
				for _, p := range w.seen {
					w.check(p)
				}
				for range 3 {
					for _, l := range w.loops {
						l.run()
					}
				}
				for _, p := range w.here {
					if p.link.paused {
						t.Fatalf("seed %d: a member is paused, and nothing is pending", seed)
					}
					p.link.read(1 << 30)
					for range 200 {
						p.link.read(0)
					}
					if !p.link.expelled && p.s.Queued() > 0 {
						t.Fatalf("seed %d: %d stay in the queue of a member that reads", seed, p.s.Queued())
					}
				}
				for _, p := range w.seen {
					w.check(p)
				}
			}
		})
	}
}

// hubVersion1 and memberVersion1 are what version 1 says. They must not change: it is what the program before this one sends. What later
// programs add must be optional.
const (
	hubVersion1 = `{"Rooms":[{"Name":"lobby","Epoch":"ABC","Seq":3,"History":2,"Here":{"ann":2,"bob":1},"Changed":{"bob":false},` +
		`"Messages":[{"room":"","seq":1,"time":"2026-01-02T03:04:05.000000006Z","from":"ann","text":"old"},` +
		`{"room":"","time":"2026-01-02T03:04:05Z","Presence":{"Came":["bob"],"Left":null,"Members":2,"More":false}},` +
		`{"room":"","time":"2026-01-02T03:04:05Z","Missed":4},` +
		`{"room":"","seq":2,"time":"2026-01-02T03:04:06Z","from":"bob","key":"k","kind":2,"data":"/w==","Remote":true},` +
		`{"room":"","seq":3,"time":"2026-01-02T03:04:07Z","from":"ann","text":"new"}]}]}`
	memberVersion1 = `{"Name":"ann","Tokens":1.5,"At":"2026-01-02T03:04:05Z","In":[{"Room":"lobby","Start":{"Epoch":"ABC","Seq":0},"Replayed":1,"Gap":true,` +
		`"Queue":[0,1,2],"Pending":[3,4],"Allowed":7,"Slow":true,"Paused":true,"Untold":5,"Counts":{"Delivered":1,"Dropped":5,"Skipped":2,"Lost":0}}]}`
)

func TestTheBytesOfVersion1DoNotChange(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	h := &Hub{Options: Options{History: History{Messages: 2}, Presence: time.Hour}}
	if err := h.take(b, []byte(hubVersion1)); err != nil {
		t.Fatal(err)
	}
	loop := new(handLoop)
	link := &handLink{loop: loop, room: 1}
	m, err := h.MovedMember(link, line, []byte(memberVersion1))
	if err != nil {
		t.Fatal(err)
	}
	h.Taken(true)
	c, d := net.Pipe()
	defer d.Close()
	h.find("lobby").away = nil
	data, err := h.hand(c, func(Loop) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != hubVersion1 {
		t.Errorf("version 1 has become\n%s, it was\n%s", data, hubVersion1)
	}
	st, err := m.Move()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(memberVersion1, `[0,1,2],"Pending":[3,4]`, `[0,1,2,3,4]`, 1) // it has looked at them
	if want = strings.Replace(want, `"Paused":true,`, "", 1); string(st.Data) != want {
		t.Errorf("version 1 has become\n%s, it was\n%s", st.Data, want)
	}
	h.Handed(false)
	link.read(0)
	want = "dropped 5\nlobby 1  old\npresence +bob -\nmissed 4\nlobby 2 k \xff\nlobby 3  new\n"
	if got := string(link.got); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	m.Leave()
	if names, n := h.find("lobby").Members(); n != 2 {
		t.Errorf("%q are there: one of two ann has left", names)
	}
}

func FuzzMoved(f *testing.F) {
	f.Add([]byte(hubVersion1), []byte(memberVersion1))
	f.Add([]byte(`{"Rooms":[{"Name":"lobby","Here":{"ann":1048577}}]}`), []byte(`{"Name":"ann","In":[{"Room":"lobby","Queue":[-1]}]}`))
	f.Add([]byte(`{"Rooms":[{"Name":"lobby","Seq":1,"History":-5,"Here":{"ann":1},"Messages":[{"seq":2},{"Presence":{}}]},{"Name":"lobby"}]}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, hub, member []byte) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		h := &Hub{Options: Options{History: History{Messages: 2}}}
		if h.take(b, hub) != nil {
			return
		}
		link := &handLink{loop: new(handLoop), room: 1 << 20}
		m, err := h.MovedMember(link, line, member)
		h.Taken(true)
		if err == nil {
			for range 20 {
				link.read(0)
			}
			m.Leave()
		}
		link.loop.run()
	})
}
