package room

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A country is some processes whose rooms are joined by wires, of which the test says when they carry a message and when they are cut.
type country struct {
	t         *testing.T
	rng       *rand.Rand
	processes []*town
}

// A town is one process, with one room.
type town struct {
	country *country
	number  int
	hub     *Hub
	room    *Room
	in      Inlet
	loops   []*handLoop
	wires   []*oneWay // to the others, by their number
	said    int       // messages published here
	log     []happening
	seen    []*citizen
	here    []*citizen
}

// A oneWay carries what one process says to another one. What it loses is told at its other end before what comes next.
type oneWay struct {
	to      *town
	cut     bool
	carries []Message
	lost    uint64
}

// A happening is what the members of a process are to be told, one after the other: a message or an event.
type happening struct {
	seq    uint64 // 0 for an event
	text   string
	except *Subscription
}

// A citizen is a member, and what it may have got: what happened from one place in the log of its process to another.
type citizen struct {
	link        *handLink
	member      *Member
	s           *Subscription
	from, until int
	replayed    int
	left        bool
	steady      bool
}

// Open implements Bridge.
func (p *town) Open(_ string, in Inlet) (Channel, error) {
	p.in = in
	return p, nil
}

// Close implements Channel.
func (p *town) Close() {}

// Publish implements Channel.
func (p *town) Publish(m *Message) error {
	for _, w := range p.wires {
		switch {
		case w == nil:
		case w.cut:
			w.lost++
		default:
			w.carries = append(w.carries, Message{Data: m.Data, From: m.From})
		}
	}
	return nil
}

// carry delivers the next message of a wire, and before it what was lost.
func (w *oneWay) carry(t *testing.T) {
	if w.cut {
		return
	}
	if w.lost > 0 { // what is under way comes behind what was lost before it, as nothing is taken while it is cut
		w.to.in.Missed(w.lost)
		w.to.log = append(w.to.log, happening{text: fmt.Sprintf("missed %d", w.lost)})
		w.lost = 0
	}
	if len(w.carries) == 0 {
		return
	}
	m := w.carries[0]
	if err := w.to.in.Deliver(m); errors.Is(err, ErrBacklog) {
		return // it comes again
	} else if err != nil {
		t.Fatal(err)
	}
	w.carries = w.carries[1:]
	w.to.log = append(w.to.log, happening{seq: w.to.room.Position().Seq, text: string(m.Data)})
}

// cutOff cuts a wire. Of what is under way, the end is lost.
func (w *oneWay) cutOff(rng *rand.Rand) {
	if w.cut {
		return
	}
	w.cut = true
	keep := rng.IntN(len(w.carries) + 1)
	w.lost += uint64(len(w.carries) - keep)
	for _, m := range w.carries[:keep] { // arrives still
		for errors.Is(w.to.in.Deliver(m), ErrBacklog) {
			for _, l := range w.to.loops {
				l.run()
			}
		}
		w.to.log = append(w.to.log, happening{seq: w.to.room.Position().Seq, text: string(m.Data)})
	}
	w.carries = nil
}

// happens is the form of the citizens.
var happens = &Form{
	Encode: func(b []byte, m *Message) []byte {
		if m.Missed > 0 {
			return fmt.Appendf(b, "missed %d\n", m.Missed)
		}
		return fmt.Appendf(b, "%d %s\n", m.Seq, bytes.TrimRight(m.Data, "."))
	},
	Dropped: func(b []byte, n uint64) []byte { return fmt.Appendf(b, "dropped %d\n", n) },
}

func (p *town) join() {
	rng := p.country.rng
	c := &citizen{link: &handLink{loop: p.loops[rng.IntN(len(p.loops))]}, steady: rng.IntN(2) == 0, from: len(p.log)}
	c.link.loop.links = append(c.link.loop.links, c.link)
	if c.link.room = rng.IntN(3); c.steady {
		c.link.room = 1 << 30
	}
	c.member = p.hub.Member(c.link, happens, "")
	var err error
	if c.s, err = c.member.Join("room", &Return{Last: rng.IntN(5)}); err != nil {
		p.country.t.Fatal(err)
	}
	c.replayed = c.s.Replayed()
	c.link.loop.turn()
	p.seen, p.here = append(p.seen, c), append(p.here, c)
}

// turn ends a turn of a loop on which something was done: who can be sent something is.
func (l *handLoop) turn() {
	for _, link := range l.links {
		if link.room > 0 {
			link.read(0)
		}
	}
}

func (p *town) publish() {
	rng := p.country.rng
	text := fmt.Sprintf("p%d-%d", p.number, p.said+1)
	m := Message{Data: []byte(text + strings.Repeat(".", rng.IntN(100)))}
	var except *Subscription
	publish := p.room.Publish
	if len(p.here) > 0 && rng.IntN(2) == 0 {
		except = p.here[rng.IntN(len(p.here))].s
		publish = except.PublishToOthers
	}
	seq, err := publish(m)
	if errors.Is(err, ErrBacklog) {
		return
	} else if err != nil {
		p.country.t.Fatal(err)
	}
	p.said++
	p.log = append(p.log, happening{seq, string(m.Data), except})
}

func (p *town) leave(i int) {
	c := p.here[i]
	p.here = slices.Delete(p.here, i, i+1)
	c.left, c.until = true, len(p.log)
	c.link.gone = p.country.rng.IntN(2) == 0
	c.member.Leave()
	c.link.loop.turn()
}

// check compares what a citizen got with what happened while it was there. settled is whether it has had time to read all.
func (p *town) check(c *citizen, settled bool) {
	t := p.country.t
	until := len(p.log)
	if c.left {
		until = c.until
	}
	var may []happening
	for i := c.from - 1; i >= 0 && len(may) < c.replayed; i-- { // messages, but no events
		if p.log[i].seq > 0 {
			may = append(may, p.log[i])
		}
	}
	slices.Reverse(may)
	messages := uint64(len(may))
	for _, h := range p.log[c.from:until] {
		may = append(may, h)
		if h.seq > 0 {
			messages++
		}
	}
	next, came, events, told := 0, uint64(0), 0, uint64(0)
	for got := range strings.Lines(string(c.link.got)) {
		got = strings.TrimSuffix(got, "\n")
		var n uint64
		if _, err := fmt.Sscanf(got, "dropped %d", &n); err == nil {
			told += n
			continue
		}
		for ; ; next++ {
			if next == len(may) {
				t.Fatalf("a member of p%d got %q, which is nothing that happened then: %v", p.number, got, may)
			}
			h := may[next]
			if h.seq == 0 && h.text == got {
				events++
				break
			}
			if h.seq > 0 && h.except != c.s && fmt.Sprint(h.seq, " ", strings.TrimRight(h.text, ".")) == got {
				came++
				break
			}
			if h.seq == 0 {
				t.Fatalf("a member of p%d got %q, and not %q before", p.number, got, h.text)
			}
		}
		next++
	}
	n, waits := c.s.Counts(), uint64(0)
	count := func(_ *chunk, m *message) bool {
		if !m.isEvent() {
			waits++
		}
		return true
	}
	c.s.queue.each(func(k *chunk, m *message) bool { return m.except == c.s || count(k, m) })
	if !c.left {
		c.s.shard.pending.each(count)
	}
	if n.Delivered != came || n.Delivered+n.Dropped+n.Skipped+n.Lost+waits != messages || told+c.s.untold != n.Dropped {
		t.Fatalf("p%d: of %d messages %d came, %d were told to be dropped, and %d wait: %+v", p.number, messages, came, told, waits, n)
	}
	if !settled || c.left || c.link.expelled {
		return
	}
	if waits > 0 {
		t.Fatalf("p%d: %d messages wait for a member that reads", p.number, waits)
	}
	for _, h := range may[next:] {
		if h.seq == 0 {
			t.Fatalf("a member of p%d was not told %q", p.number, h.text)
		}
	}
	if c.steady && n.Dropped > 0 {
		t.Fatalf("p%d: a member that reads: %+v", p.number, n)
	}
}

// account compares what a process heard and missed of the others with what these said.
func (p *town) account() {
	t := p.country.t
	last := map[int]int{}
	heard, missed := 0, 0
	for _, h := range p.log {
		var from, n int
		if _, err := fmt.Sscanf(h.text, "missed %d", &n); err == nil {
			missed += n
			continue
		}
		if _, err := fmt.Sscanf(h.text, "p%d-%d", &from, &n); err != nil || n <= last[from] {
			t.Fatalf("p%d has %q after %d", p.number, h.text, last[from])
		}
		last[from] = n
		if from != p.number {
			heard++
		}
	}
	said := 0
	for _, other := range p.country.processes {
		if other != p {
			said += other.said
		}
	}
	if heard+missed != said || last[p.number] != p.said {
		t.Fatalf("p%d heard %d and missed %d of %d that others said, and has its own up to %d of %d", p.number, heard, missed, said, last[p.number], p.said)
	}
}

// In processes that lose each other and find each other again, everybody gets what came and is told what did not.
func TestModelOfPartitions(t *testing.T) {
	const seeds, processes = 40, 3
	for _, policy := range []Policy{DropOldest, DropNewest, Disconnect} {
		t.Run(policy.String(), func(t *testing.T) {
			missed, dropped, expelled := uint64(0), uint64(0), 0
			for seed := range uint64(seeds) {
				w := &country{t: t, rng: rand.New(rand.NewPCG(seed, 1))}
				for i := range processes {
					p := &town{country: w, number: i}
					p.hub = &Hub{Bridge: p, Logger: slog.New(slog.DiscardHandler),
						Options: Options{Policy: policy, Queue: 1000, Backlog: 4000, History: History{Messages: 10, Bytes: 1000}}}
					for range 2 {
						p.loops = append(p.loops, new(handLoop))
					}
					var err error
					if p.room, err = p.hub.Room("room"); err != nil {
						t.Fatal(err)
					}
					keeper := p.hub.Member(&handLink{loop: p.loops[0], room: 1 << 30}, happens, "keeper")
					if _, err := keeper.Join("room", nil); err != nil { // so that the room is not forgotten
						t.Fatal(err)
					}
					w.processes = append(w.processes, p)
				}
				for i, p := range w.processes {
					p.wires = make([]*oneWay, processes)
					for j, other := range w.processes {
						if i != j {
							p.wires[j] = &oneWay{to: other}
						}
					}
				}
				for range 800 {
					p := w.processes[w.rng.IntN(processes)]
					wire := p.wires[(p.number+1+w.rng.IntN(processes-1))%processes]
					switch n := w.rng.IntN(24); {
					case n < 2:
						p.join()
					case n < 3 && len(p.here) > 0:
						p.leave(w.rng.IntN(len(p.here)))
					case n < 10:
						p.publish()
					case n < 15:
						wire.carry(t)
					case n < 16:
						wire.cutOff(w.rng)
					case n < 18: // in both directions
						wire.cutOff(w.rng)
						wire.to.wires[p.number].cutOff(w.rng)
					case n < 20:
						wire.cut = false
						wire.to.wires[p.number].cut = w.rng.IntN(4) == 0 && wire.to.wires[p.number].cut
					case n < 22:
						p.loops[w.rng.IntN(len(p.loops))].run()
					case len(p.here) > 0:
						if c := p.here[w.rng.IntN(len(p.here))]; !c.steady {
							c.link.read(w.rng.IntN(4))
						}
					}
				}
				for _, p := range w.processes {
					for _, c := range p.seen {
						p.check(c, false)
					}
				}
				for again := true; again; { // all wires heal
					again = false
					for _, p := range w.processes {
						for _, l := range p.loops {
							l.run()
						}
						for _, wire := range p.wires {
							if wire != nil {
								wire.cut = false
								wire.carry(t)
								again = again || len(wire.carries) > 0 || wire.lost > 0
							}
						}
					}
				}
				for _, p := range w.processes {
					for _, l := range p.loops {
						l.run()
					}
					p.account()
					for _, c := range p.here {
						c.link.read(1 << 30)
						for range 200 {
							c.link.read(0)
						}
					}
					for _, c := range p.seen {
						p.check(c, true)
						dropped += c.s.Counts().Dropped
						if c.link.expelled {
							expelled++
						}
					}
					for _, h := range p.log {
						if h.seq == 0 {
							missed++
						}
					}
				}
			}
			if wants := policy == Disconnect; missed == 0 || (expelled > 0) != wants || (dropped > 0) == wants {
				t.Errorf("%d times something was missed, %d were dropped, %d expelled", missed, dropped, expelled)
			}
			t.Logf("%d times something was missed, %d were dropped, %d expelled", missed, dropped, expelled)
		})
	}
}
