package room

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// A memoryLog is a Log whose messages come when the test says so.
type memoryLog struct {
	at      Position
	kept    []*Message
	opening chan bool // Open waits for it, if it is not nil
	in      LogReader
	out     []Message // published, and not stored
	fails   error
	closed  chan bool
}

func (l *memoryLog) Open(_ string, most History, in LogReader) (Position, []*Message, LogWriter, error) {
	if l.opening != nil {
		<-l.opening
	}
	l.in = in
	return l.at, l.kept[max(0, len(l.kept)-most.Messages):], l, l.fails
}

func (l *memoryLog) Publish(m *Message) error {
	l.out = append(l.out, *m)
	return nil
}

func (l *memoryLog) Close() { close(l.closed) }

// comes delivers a message as the next one, or one after those that are lost.
func (l *memoryLog) comes(m Message, lost uint64) error {
	m.Seq, m.Time = l.at.Seq+1+lost, time.Now()
	err := l.in.Deliver(m)
	if err == nil {
		l.at.Seq = m.Seq
	}
	return err
}

func newMemoryLog() *memoryLog {
	return &memoryLog{at: Position{Epoch: "one"}, closed: make(chan bool)}
}

func hubOf(l *memoryLog, o Options) *Hub {
	return &Hub{Log: l, Options: o, Logger: slog.New(slog.DiscardHandler)}
}

var logged = &Form{Encode: func(b []byte, m *Message) []byte {
	switch {
	case m.Missed > 0:
		return fmt.Appendf(b, "missed %d;", m.Missed)
	case m.Anew != nil:
		return fmt.Appendf(b, "anew %s %d;", m.Anew.Epoch, m.Anew.Seq)
	}
	return fmt.Appendf(b, "%d %s;", m.Seq, m.Data)
}}

func joinOn(t *testing.T, h *Hub, loop *handLoop, back *Return) (*handLink, *Subscription) {
	t.Helper()
	l := &handLink{loop: loop, room: 1 << 30}
	loop.links = append(loop.links, l)
	s, err := h.Member(l, logged, "").Join("room", back)
	if err != nil {
		t.Fatal(err)
	}
	return l, s
}

func TestMembersGetWhatTheLogHas(t *testing.T) {
	log, loop := newMemoryLog(), new(handLoop)
	h := hubOf(log, Options{Queue: 100, Backlog: 200, History: History{Messages: 10}})
	ann, a := joinOn(t, h, loop, nil)
	bob, _ := joinOn(t, h, loop, nil)
	got := func(l *handLink, want string) {
		t.Helper()
		loop.run()
		if string(l.got) != want {
			t.Errorf("a member got %q, not %q", l.got, want)
		}
		l.got = nil
	}
	if seq, err := a.PublishToOthers(Message{Data: []byte("hello")}); seq != 0 || err != nil {
		t.Errorf("PublishToOthers: %d, %v", seq, err)
	}
	if _, err := a.Publish(Message{Data: make([]byte, 101)}); !errors.Is(err, ErrTooLong) {
		t.Errorf("a long message: %v", err)
	}
	got(ann, "") // until the Log has it
	got(bob, "")
	if len(log.out) != 1 {
		t.Fatalf("the log got %d messages", len(log.out))
	}
	log.comes(log.out[0], 0)
	got(ann, "")
	got(bob, "1 hello;")
	log.comes(Message{Data: []byte("x"), Remote: true}, 0)
	log.in.Deliver(Message{Data: []byte("again"), Seq: 2})
	got(ann, "2 x;")
	got(bob, "2 x;")

	log.comes(Message{Data: []byte("y")}, 3)
	got(ann, "missed 3;6 y;")
	_, late := joinOn(t, h, loop, &Return{After: Position{"one", 1}, Last: 5}) // the history has a hole
	if !late.Gap() || late.Replayed() != 1 {
		t.Errorf("gap %v, replayed %d", late.Gap(), late.Replayed())
	}
	_, late = joinOn(t, h, loop, &Return{After: Position{"one", 5}})
	if late.Gap() || late.Replayed() != 1 {
		t.Errorf("gap %v, replayed %d", late.Gap(), late.Replayed())
	}
	log.comes(Message{Data: make([]byte, 101)}, 0) // of a process with a longer Queue
	got(ann, "missed 1;")
	log.in.Moved(Position{"one", 9})
	log.in.Moved(Position{"one", 8})
	got(ann, "missed 2;")
	log.at.Seq = 9
	log.comes(Message{Data: []byte("z")}, 0)
	got(ann, "10 z;")

	log.at = Position{"two", 4}
	log.in.Moved(log.at)
	log.comes(Message{Data: []byte("new")}, 0)
	got(ann, "anew two 4;5 new;")
	if _, late = joinOn(t, h, loop, &Return{After: Position{"one", 5}}); !late.Gap() || late.Start() != (Position{"two", 5}) {
		t.Errorf("gap %v, start %v", late.Gap(), late.Start())
	}
	n := 0
	for ; log.comes(Message{Data: []byte("flood")}, 0) == nil; n++ {
		if n > 100 {
			t.Fatal("the backlog has no end")
		}
	}
	if err := log.comes(Message{}, 0); err != ErrBacklog {
		t.Errorf("with a full backlog Deliver returns %v", err)
	}
	if _, err := late.Publish(Message{Data: []byte("more")}); err != nil { // after its loop has caught up
		t.Error(err)
	}
	got(ann, strings.Join(func() (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("%d flood;", 6+i))
		}
		return all
	}(), ""))
}

// A Log may take time to open: nobody waits for it on a loop.
func TestJoinThen(t *testing.T) {
	log, loop := newMemoryLog(), &lockedLoop{tasks: make(chan func(), 100)}
	log.opening = make(chan bool)
	log.at.Seq = 2
	log.kept = []*Message{{Seq: 1, Data: []byte("a")}, {Seq: 2, Data: []byte("b")}}
	h := hubOf(log, Options{History: History{Messages: 10}})
	type joined struct {
		s   *Subscription
		err error
	}
	results := make(chan joined, 10)
	then := func(s *Subscription, err error) { results <- joined{s, err} }
	join := func(m *Member, back *Return) { m.JoinThen("room", back, then) }
	await := func() joined {
		t.Helper()
		for {
			select {
			case r := <-results:
				return r
			case f := <-loop.tasks:
				f()
			case <-time.After(time.Minute):
				t.Fatal("nothing is told")
			}
		}
	}
	a := h.Member(&lockedLink{loop}, logged, "a")
	join(a, nil)
	gone := h.Member(&lockedLink{loop}, logged, "gone")
	join(gone, nil)
	gone.Leave()
	select {
	case r := <-results:
		t.Fatalf("before the room is open it is told %v", r)
	default:
	}
	close(log.opening)
	for range 2 {
		if r := await(); r.s == nil && r.err != ErrLeft || r.s != nil && r.s.Start() != (Position{"one", 2}) {
			t.Errorf("joined %v, %v", r.s, r.err)
		}
	}
	if len(gone.Joined()) != 0 || len(a.Joined()) != 1 {
		t.Errorf("who has left is in %d rooms, who has not in %d", len(gone.Joined()), len(a.Joined()))
	}
	b := h.Member(&lockedLink{loop}, logged, "b")
	join(b, &Return{After: Position{"one", 4}}) // it was in a process that has read more
	if len(results) != 0 {
		t.Error("it joined before the process has read as much")
	}
	for log.at.Seq < 5 {
		log.comes(Message{Data: []byte("c")}, 0)
	}
	if r := await(); r.err != nil || r.s.Gap() || r.s.Replayed() != 1 {
		t.Errorf("joined %v, %v", r.s, r.err)
	}
	c := h.Member(&lockedLink{loop}, logged, "c")
	if join(c, &Return{After: Position{"one", 5}}); len(results) != 1 {
		t.Error("in an open room it did not join at once")
	} else if r := await(); r.err != nil || r.s.Gap() {
		t.Errorf("joined %v, %v", r.s, r.err)
	}
	if join(c, nil); await().err != ErrJoined {
		t.Error("it joined twice")
	}

	failing := newMemoryLog()
	failing.fails = errors.New("there is no log")
	d := hubOf(failing, Options{}).Member(&lockedLink{loop}, logged, "d")
	if join(d, nil); await().err == nil {
		t.Error("a room without its log is open")
	}
	two := &Hub{Log: newMemoryLog(), Store: &FileStore{ends: map[string]roomEnd{}}}
	if _, err := two.Room("room"); err == nil {
		t.Error("a Hub has a Log and a Store")
	}
}

// What a Log has in pieces is not taken for a whole.
func TestAHistoryWithHoles(t *testing.T) {
	for _, test := range []struct {
		kept []uint64
		last uint64
		want int
	}{
		{nil, 0, 0}, {nil, 7, 0}, {[]uint64{1, 2, 3}, 3, 3}, {[]uint64{1, 3, 4}, 4, 2}, {[]uint64{1, 2, 4}, 4, 1}, {[]uint64{1, 2, 3}, 4, 0}, {[]uint64{4}, 4, 1},
	} {
		log := newMemoryLog()
		log.at.Seq = test.last
		for _, seq := range test.kept {
			log.kept = append(log.kept, &Message{Seq: seq, Data: []byte("x")})
		}
		_, s := joinOn(t, hubOf(log, Options{History: History{Messages: 10}}), new(handLoop), &Return{Last: 10})
		if s.Replayed() != test.want || s.Start().Seq != test.last {
			t.Errorf("of %v up to %d are replayed %d, from %v", test.kept, test.last, s.Replayed(), s.Start())
		}
	}
}

// A lockedLoop runs functions of any goroutine when the test says so.
type lockedLoop struct{ tasks chan func() }

func (l *lockedLoop) Do(f func()) error {
	l.tasks <- f
	return nil
}

// A lockedLink takes everything.
type lockedLink struct{ loop *lockedLoop }

func (l *lockedLink) Loop() Loop                    { return l.loop }
func (l *lockedLink) Send([]*Payload) (bool, error) { return true, nil }
func (l *lockedLink) Join(all []*Payload) *Payload  { return slices.Clone(all)[0] }
func (l *lockedLink) WhenSent(f func())             { l.loop.Do(f) }
func (l *lockedLink) Expel(string)                  {}
func (l *lockedLink) Pause()                        {}
func (l *lockedLink) Resume()                       {}
