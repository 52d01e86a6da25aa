package room

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A world is a hub whose loops and links are the test's: it decides what runs when, and which peer reads.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	hub   *Hub
	loops []*handLoop
	seen  []*seat // every membership ever
	here  []*seat
	last  map[string]uint64 // published in each room
}

// A handLoop runs functions when the test says so.
type handLoop struct {
	tasks []func()
	links []*handLink
}

func (l *handLoop) Do(f func()) error {
	l.tasks = append(l.tasks, f)
	return nil
}

func (l *handLoop) run() {
	for len(l.tasks) > 0 {
		f := l.tasks[0]
		l.tasks = l.tasks[1:]
		f()
	}
	for _, link := range l.links {
		if link.room > 0 {
			link.read(0)
		}
	}
}

// A handLink is a connection whose peer reads when the test says so.
type handLink struct {
	loop     *handLoop
	room     int // how many more Sends it takes
	sends    int // calls of Send
	got      []byte
	waiting  []func()
	gone     bool
	expelled bool
	paused   bool
}

func (l *handLink) Loop() Loop { return l.loop }

func (l *handLink) Send(payloads []*Payload) (bool, error) {
	l.sends++
	if l.gone || l.expelled {
		return false, net.ErrClosed
	}
	if l.room == 0 {
		return false, nil
	}
	l.room--
	for _, p := range payloads {
		l.got = append(l.got, p.Bytes...)
	}
	return true, nil
}

func (l *handLink) Join(payloads []*Payload) *Payload {
	all := new(Payload)
	for _, p := range payloads {
		all.Bytes = append(all.Bytes, p.Bytes...)
	}
	return all
}

func (l *handLink) WhenSent(f func()) { l.waiting = append(l.waiting, f) }
func (l *handLink) Expel(string)      { l.expelled = true }
func (l *handLink) Pause()            { l.paused = true }
func (l *handLink) Resume()           { l.paused = false }

// read has the peer take n more Sends.
func (l *handLink) read(n int) {
	if l.gone || l.expelled {
		return
	}
	l.room += n
	list := l.waiting
	if l.room == 0 {
		return
	}
	l.waiting = nil
	for _, f := range list {
		f()
	}
}

// A seat is one membership, and what it may have got.
type seat struct {
	link    *handLink
	member  *Member
	s       *Subscription
	mine    map[uint64]bool // not to be sent to it
	from    uint64          // the first it is to get
	until   uint64          // the last, if it has left
	left    bool
	steady  bool // its peer always reads
	replays int
}

// line is the form of the tests: the number of a message and what it is about.
var line = &Form{
	Encode: func(b []byte, m *Message) []byte {
		if m.Presence != nil {
			return fmt.Appendf(b, "presence +%s -%s\n", strings.Join(m.Presence.Came, ","), strings.Join(m.Presence.Left, ","))
		}
		if m.Missed > 0 {
			return fmt.Appendf(b, "missed %d\n", m.Missed)
		}
		return fmt.Appendf(b, "%s %d %s %s\n", m.Room, m.Seq, m.Key, m.Data)
	},
	Dropped: func(b []byte, n uint64) []byte { return fmt.Appendf(b, "dropped %d\n", n) },
}

func (w *world) room() string { return "room" + strconv.Itoa(w.rng.IntN(2)) }

func (w *world) join() {
	l := &handLink{loop: w.loops[w.rng.IntN(len(w.loops))]}
	p := &seat{link: l, steady: w.rng.IntN(2) == 0, mine: map[uint64]bool{}}
	l.loop.links = append(l.loop.links, l)
	if p.steady {
		l.room = 1 << 30
	} else {
		l.room = w.rng.IntN(3)
	}
	p.member = w.hub.Member(l, line, "m"+strconv.Itoa(len(w.seen)))
	name := w.room()
	back := &Return{Last: w.rng.IntN(5)}
	if w.rng.IntN(2) == 0 {
		back.After = Position{Seq: uint64(w.rng.IntN(1 + int(w.last[name])))}
		if r, err := w.hub.Room(name); err == nil {
			back.After.Epoch = r.Position().Epoch
		}
	}
	var err error
	if p.s, err = p.member.Join(name, back); err != nil {
		w.t.Fatal(err)
	}
	if start := p.s.Start(); start.Seq != w.last[name] {
		w.t.Fatalf("joined at %d, and %d are published", start.Seq, w.last[name])
	}
	p.replays = p.s.Replayed()
	p.from = w.last[name] + 1 - uint64(p.replays)
	if back.After.Epoch != "" && !p.s.Gap() && p.from != back.After.Seq+1 {
		w.t.Fatalf("back after %d of %d, %d are replayed", back.After.Seq, w.last[name], p.replays)
	}
	w.seen = append(w.seen, p)
	w.here = append(w.here, p)
}

func (w *world) publish() {
	key, data := string(rune('a'+w.rng.IntN(3))), strings.Repeat("x", w.rng.IntN(100))
	m := Message{Key: key, Data: []byte(data)}
	if len(w.here) > 0 && w.rng.IntN(3) > 0 {
		p := w.here[w.rng.IntN(len(w.here))]
		name := p.s.Room().Name()
		publish := p.s.Publish
		others := w.rng.IntN(2) == 0
		if others {
			publish = p.s.PublishToOthers
		}
		seq, err := publish(m)
		w.published(name, seq, err)
		if others && err == nil {
			p.mine[seq] = true
		}
		return
	}
	name := w.room()
	r, err := w.hub.Room(name)
	if err != nil {
		w.t.Fatal(err)
	}
	seq, err := r.Publish(m)
	w.published(name, seq, err)
}

func (w *world) published(room string, seq uint64, err error) {
	if errors.Is(err, ErrBacklog) {
		return
	}
	if err != nil || seq != w.last[room]+1 {
		w.t.Fatalf("published %d after %d: %v", seq, w.last[room], err)
	}
	w.last[room] = seq
}

func (w *world) leave(i int) {
	p := w.here[i]
	w.here = slices.Delete(w.here, i, i+1)
	p.left, p.until = true, w.last[p.s.Room().Name()]
	if w.rng.IntN(2) == 0 {
		p.link.gone = true // the connection, before anybody knows
	}
	p.member.Leave()
}

// check compares what a member got with what it may have got.
func (w *world) check(p *seat) {
	name := p.s.Room().Name()
	until := p.until
	if !p.left {
		until = w.last[name]
	}
	var got []uint64
	told := uint64(0)
	for text := range strings.Lines(string(p.link.got)) {
		var n uint64
		if _, err := fmt.Sscanf(text, "dropped %d\n", &n); err == nil {
			told += n
			continue
		}
		if strings.HasPrefix(text, "presence") {
			continue
		}
		fields := strings.Fields(text)
		if fields[0] != name {
			w.t.Fatalf("a member of %s got %q", name, text)
		}
		seq, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(got) > 0 && seq <= got[len(got)-1] || seq < p.from || seq > until || p.mine[seq] {
			w.t.Fatalf("a member of %s from %d to %d got %d after %v", name, p.from, until, seq, got)
		}
		got = append(got, seq)
	}
	c, queued := p.s.Counts(), 0
	p.s.queue.each(func(_ *chunk, m *message) bool {
		if !m.isEvent() && m.except != p.s {
			queued++
		}
		return true
	})
	pending := 0 // published, and not looked at by its loop
	if !p.left {
		p.s.shard.pending.each(func(_ *chunk, m *message) bool {
			if !m.isEvent() {
				pending++
			}
			return true
		})
	}
	if c.Delivered != uint64(len(got)) {
		w.t.Fatalf("%d came, %d are counted", len(got), c.Delivered)
	}
	if sum := c.Delivered + c.Dropped + c.Skipped + c.Lost + uint64(queued+pending); sum != until+1-p.from {
		w.t.Fatalf("a member of %s from %d to %d: %+v, %d queued, %d pending", name, p.from, until, c, queued, pending)
	}
	if told+p.s.untold != c.Dropped {
		w.t.Fatalf("dropped %d, told %d, to be told %d", c.Dropped, told, p.s.untold)
	}
	if p.steady && !p.link.expelled && c.Dropped > 0 {
		w.t.Fatalf("a member that reads: %+v, %d queued", c, queued)
	}
	if o := p.s.Room().options; p.s.bytes > o.Queue+o.Backlog+o.History.Bytes+p.s.events {
		w.t.Fatalf("the queue has %d bytes", p.s.bytes)
	}
}

// Everybody gets exactly what was published while it was there, or it is counted.
func TestModel(t *testing.T) {
	const seeds = 60
	for _, policy := range []Policy{DropOldest, DropNewest, KeepLatest, Disconnect} {
		t.Run(policy.String(), func(t *testing.T) {
			expelled, dropped, lost := 0, uint64(0), uint64(0)
			for seed := range uint64(seeds) {
				w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 0)), last: map[string]uint64{}}
				w.hub = &Hub{Options: Options{Policy: policy, Queue: 1000, Backlog: 4000, History: History{Messages: 10, Bytes: 1000}}}
				for range 3 {
					w.loops = append(w.loops, new(handLoop))
				}
				// A room that is empty must not be forgotten here, as its numbers begin anew then.
				for _, name := range []string{"room0", "room1"} {
					keeper := w.hub.Member(&handLink{loop: w.loops[0], room: 1 << 30}, line, "keeper")
					if _, err := keeper.Join(name, nil); err != nil {
						t.Fatal(err)
					}
				}
				for range 500 {
					switch n := w.rng.IntN(20); {
					case n < 2:
						w.join()
					case n < 3 && len(w.here) > 0:
						w.leave(w.rng.IntN(len(w.here)))
					case n < 12:
						w.publish()
					case n < 16:
						w.loops[w.rng.IntN(3)].run()
					case len(w.here) > 0:
						if p := w.here[w.rng.IntN(len(w.here))]; !p.steady {
							p.link.read(w.rng.IntN(4))
						}
					}
				}
				for _, p := range w.seen {
					w.check(p)
				}
				for range 3 { // who was paused goes on
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
				}
				for _, p := range w.seen {
					w.check(p)
					c := p.s.Counts()
					if !p.left && !p.link.expelled && p.s.Queued() > 0 {
						t.Fatalf("seed %d: %d stay in the queue of a member that reads", seed, p.s.Queued())
					}
					dropped, lost = dropped+c.Dropped, lost+c.Lost
					if p.link.expelled {
						expelled++
					}
				}
			}
			if wants := policy == Disconnect; (expelled > 0) != wants || (dropped > 0) == wants || lost == 0 {
				t.Errorf("%d expelled, %d dropped, %d lost", expelled, dropped, lost)
			}
		})
	}
}
