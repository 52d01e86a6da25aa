package natsroom_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

// startStreams starts a server of NATS with JetStream.
func startStreams(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not come up")
	}
	return s
}

func portOf(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }

// told is the form of members of a room with a Log: a line for each message and event.
var told = &room.Form{Encode: func(b []byte, m *room.Message) []byte {
	switch {
	case m.Missed > 0:
		return fmt.Appendf(b, "missed %d\n", m.Missed)
	case m.Anew != nil:
		return fmt.Appendf(b, "anew %s\n", m.Anew.Epoch)
	case m.Seq == 0:
		return nil
	}
	return fmt.Appendf(b, "%d %s %s\n", m.Seq, m.From, m.Data)
}}

// A logged is a process with a Log.
type logged struct {
	t      *testing.T
	bridge *natsroom.Bridge
	log    *natsroom.Log
	hub    *room.Hub
}

func startLogged(t *testing.T, name, url string, history int) *logged {
	t.Helper()
	b, err := natsroom.Connect(url, natsroom.Options{Name: name, Repeat: 50 * time.Millisecond, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	log, err := natsroom.NewLog(b, natsroom.LogOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	return &logged{t, b, log, &room.Hub{Log: log, Logger: quiet, Options: room.Options{Queue: 1 << 20, History: room.History{Messages: history}}}}
}

// A listener is a member of a logged's room.
type listener struct {
	*ear
	t *testing.T
	m *room.Member
	s *room.Subscription
}

func (p *logged) join(back *room.Return) *listener {
	p.t.Helper()
	l := &listener{ear: newEar(p.t), t: p.t}
	joined := make(chan error, 1)
	l.Do(func() {
		l.m = p.hub.Member(l.ear, told, "ann")
		l.m.JoinThen("lobby", back, func(s *room.Subscription, err error) {
			l.s = s
			joined <- err
		})
	})
	if err := <-joined; err != nil {
		p.t.Fatal(err)
	}
	return l
}

// does runs f on the loop of the listener.
func (l *listener) does(f func()) {
	done := make(chan bool)
	l.Do(func() {
		defer close(done)
		f()
	})
	<-done
}

func (l *listener) says(text string) {
	l.t.Helper()
	l.does(func() {
		if _, err := l.s.Publish(room.Message{From: "ann", Data: []byte(text)}); err != nil {
			l.t.Error(err)
		}
	})
}

func (l *listener) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *listener) hears(n int) []string {
	l.t.Helper()
	for limit := time.Now().Add(patience); len(l.all()) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			l.t.Fatalf("%d lines of %d came: %.2000q", len(l.all()), n, l.all())
		}
	}
	return l.all()
}

// Two processes publish at once, and everybody gets the same messages in the same order with the same numbers.
func TestTwoProcessesHaveOneOrder(t *testing.T) {
	t.Parallel()
	const each, processes = 100, 2
	s := startStreams(t, t.TempDir(), server.RANDOM_PORT)
	var all []*listener
	for i := range processes {
		p := startLogged(t, fmt.Sprint("p", i), s.ClientURL(), 1000)
		all = append(all, p.join(nil), p.join(nil))
	}
	var publishing sync.WaitGroup
	for i := range processes {
		publishing.Go(func() {
			for n := range each {
				all[2*i].says(fmt.Sprintf("p%d-%d", i, n))
			}
		})
	}
	quietOne := all[1] // publishes to others only
	quietOne.does(func() {
		if _, err := quietOne.s.PublishToOthers(room.Message{From: "bob", Data: []byte("others")}); err != nil {
			t.Error(err)
		}
	})
	publishing.Wait()
	const total = each*processes + 1
	want := all[0].hears(total)
	next := make([]int, processes)
	for i, line := range want {
		var seq, p, n int
		var from string
		if fmt.Sscanf(line, "%d %s p%d-%d", &seq, &from, &p, &n); seq != i+1 {
			t.Fatalf("line %d is %q", i, line)
		}
		if strings.Contains(line, "others") {
			continue
		}
		if n != next[p] {
			t.Fatalf("%q comes instead of %d of p%d", line, next[p], p)
		}
		next[p]++
		if own := p == 0; (from == "ann") != own || !own && from != "ann@p1" {
			t.Fatalf("p0 hears %q", line)
		}
	}
	plain := func(lines []string) (texts []string) {
		for _, l := range lines {
			f := strings.Fields(l)
			texts = append(texts, f[0]+" "+f[2])
		}
		return texts
	}
	for _, l := range all[2:] {
		if got := plain(l.hears(total)); !slices.Equal(got, plain(want)) {
			t.Fatalf("others hear\n%q, not\n%q", got, plain(want))
		}
	}
	if got := plain(quietOne.hears(total - 1)); !slices.Equal(got, slices.DeleteFunc(plain(want), func(s string) bool { return strings.Contains(s, "others") })) {
		t.Errorf("the publisher to others hears %q", got)
	}
	quietOne.does(func() {
		if n := quietOne.s.Counts(); n.Delivered != total-1 || n.Skipped != 1 || n.Dropped+n.Lost != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// A member that comes back to another process, later, gets what it missed, exactly once.
func TestHistoryOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	s := startStreams(t, t.TempDir(), server.RANDOM_PORT)
	first := startLogged(t, "one", s.ClientURL(), 100)
	a := first.join(nil)
	for n := range 10 {
		a.says(fmt.Sprint(n))
	}
	lines := a.hears(10)
	var at room.Position
	a.does(func() { at = a.s.Start() })
	at.Seq += 4 // it has read four
	first.bridge.Close()

	second := startLogged(t, "one", s.ClientURL(), 100)
	b := second.join(&room.Return{After: at})
	if got := b.hears(6); !slices.Equal(got, lines[4:]) {
		t.Errorf("back after %v it gets %q, not %q", at, got, lines[4:])
	}
	b.does(func() {
		if b.s.Gap() || b.s.Replayed() != 6 || b.s.Start() != (room.Position{Epoch: at.Epoch, Seq: 10}) {
			t.Errorf("gap %v, replayed %d, start %v", b.s.Gap(), b.s.Replayed(), b.s.Start())
		}
	})
	b.says("more")
	if got := b.hears(7); got[6] != "11 ann more" {
		t.Errorf("then comes %q", got[6])
	}
	c := second.join(&room.Return{Last: 3})
	if got := c.hears(3); !strings.HasSuffix(got[0], " 8") && len(got) != 3 {
		t.Errorf("a new member gets %q", got)
	}
}

// NATS is killed and comes back with its files: what is published meanwhile is kept, and nobody misses or gets twice.
func TestJetStreamIsRestarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startStreams(t, dir, server.RANDOM_PORT)
	one, two := startLogged(t, "one", s.ClientURL(), 1000), startLogged(t, "two", s.ClientURL(), 1000)
	a, b := one.join(nil), two.join(nil)
	n := 0
	say := func(k int) {
		for range k {
			n++
			a.says(fmt.Sprint(n))
			b.says(fmt.Sprint(n))
		}
	}
	say(20)
	port := portOf(s)
	for range 2 {
		s.Shutdown() // while messages are under way
		s.WaitForShutdown()
		say(20)
		s = startStreams(t, dir, port)
		say(20)
	}
	for who, l := range map[string]*listener{"a": a, "b": b} {
		next := map[string]int{}
		for i, line := range l.hears(2 * n) {
			var seq, k int
			var from string
			if _, err := fmt.Sscanf(line, "%d %s %d", &seq, &from, &k); err != nil || seq != i+1 || k != next[from]+1 {
				t.Fatalf("%s hears %q after %d of %v", who, line, i, next)
			}
			next[from] = k
		}
		if got := l.all(); len(got) != 2*n {
			t.Errorf("%s hears %d, not %d", who, len(got), 2*n)
		}
	}
	if err := one.log.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// jetStreamOf connects a stranger to a server's JetStream.
func jetStreamOf(t *testing.T, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// A client sends a message to two processes while one of them has no connection. It is stored once, also if JetStream has forgotten
// the ID of the first when the second comes.
func TestAMessageWithAnIDIsStoredOnce(t *testing.T) {
	t.Parallel()
	s := startStreams(t, t.TempDir(), server.RANDOM_PORT)
	w := newWire(t, s.Addr().String())
	one, two := startLogged(t, "one", s.ClientURL(), 100), startLogged(t, "two", "nats://"+w.l.Addr().String(), 100)
	a, b := one.join(nil), two.join(nil)
	say := func(l *listener, text, id string) {
		t.Helper()
		l.does(func() {
			if _, err := l.s.Publish(room.Message{From: "ann", Data: []byte(text), ID: id}); err != nil {
				t.Error(err)
			}
		})
	}
	a.says("first")
	b.hears(1)
	js := jetStreamOf(t, s)
	stream, err := js.Stream(t.Context(), "room-lobby")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Duplicates = 100 * time.Millisecond
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}

	w.set(true)
	say(b, "early", "secret-1") // may still be sent before two knows
	say(b, "late", "secret-2")
	say(b, "late again", "secret-2") // under way already
	say(a, "late", "secret-2")
	say(a, "other", "")
	a.hears(3)
	until(t, "JetStream does not forget the IDs", func() bool { // it lets one more in
		ack, err := js.Publish(t.Context(), "room.lobby.log", []byte("stranger"), jetstream.WithMsgID("secret"))
		return err == nil && ack.Sequence > 5
	})
	w.set(false)
	b.says("last")
	for _, l := range []*listener{a, b} {
		until(t, "the last message does not come", func() bool {
			got := l.all()
			return strings.HasSuffix(got[len(got)-1], " last")
		})
		got := strings.Join(l.all(), "\n")
		for _, text := range []string{"early", "late", "other", "last"} {
			if strings.Count(got, " "+text) != 1 {
				t.Errorf("%q comes %d times:\n%s", text, strings.Count(got, " "+text), got)
			}
		}
	}
}

// A stream that is purged, deleted or trimmed: what cannot come is told.
func TestAStreamLosesMessages(t *testing.T) {
	t.Parallel()
	s := startStreams(t, t.TempDir(), server.RANDOM_PORT)
	js := jetStreamOf(t, s)
	one := startLogged(t, "one", s.ClientURL(), 5)
	a := one.join(nil)
	for n := range 10 {
		a.says(fmt.Sprint(n))
	}
	a.hears(10)
	var at room.Position
	a.does(func() { at = a.s.Start() })
	stream, err := js.Stream(t.Context(), "room-lobby")
	if err != nil {
		t.Fatal(err)
	}

	// Fewer are remembered than were missed.
	two := startLogged(t, "two", s.ClientURL(), 5)
	b := two.join(&room.Return{After: at, Last: 2})
	if b.hears(2); !b.s.Gap() || len(b.all()) != 2 {
		t.Errorf("gap %v, got %q", b.s.Gap(), b.all())
	}

	// One in the middle is deleted: the history begins after it.
	if err := stream.DeleteMsg(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	three := startLogged(t, "three", s.ClientURL(), 5)
	after := at
	after.Seq = 7
	c := three.join(&room.Return{After: after, Last: 5})
	if got := c.hears(2); !c.s.Gap() || !strings.HasPrefix(got[0], "9 ") || len(got) != 2 {
		t.Errorf("gap %v, got %q", c.s.Gap(), got)
	}

	// All are deleted.
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	four := startLogged(t, "four", s.ClientURL(), 5)
	d := four.join(&room.Return{After: after, Last: 5})
	if !d.s.Gap() || d.s.Replayed() != 0 || d.s.Start().Seq != 10 {
		t.Errorf("gap %v, replayed %d, start %v", d.s.Gap(), d.s.Replayed(), d.s.Start())
	}
	a.says("after the purge")
	if got := d.hears(1); got[0] != "11 ann@one after the purge" {
		t.Errorf("after the purge comes %q", got)
	}
	if got := a.hears(11); got[10] != "11 ann after the purge" {
		t.Errorf("after the purge comes %q", got[10])
	}

	// The stream is deleted below the processes.
	if err := js.DeleteStream(t.Context(), "room-lobby"); err != nil {
		t.Fatal(err)
	}
	a.says("after the deletion")
	until(t, "nothing comes through a new stream", func() bool {
		for _, l := range []*listener{a, d} {
			got := l.all()
			if !strings.HasSuffix(got[len(got)-1], "after the deletion") || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "anew ") }) {
				return false
			}
		}
		return true
	})
	back := four.join(&room.Return{After: room.Position{Epoch: at.Epoch, Seq: 11}})
	if !back.s.Gap() || back.s.Start().Epoch == at.Epoch {
		t.Errorf("back from another epoch: gap %v, start %v", back.s.Gap(), back.s.Start())
	}
}

func TestNATSWithoutJetStream(t *testing.T) {
	t.Parallel()
	s := startNATS(t, "plain", server.RANDOM_PORT)
	b, err := natsroom.Connect(s.ClientURL(), natsroom.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := natsroom.NewLog(b, natsroom.LogOptions{Wait: patience}); err == nil || !strings.Contains(err.Error(), "start it with -js") {
		t.Errorf("the error is %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "nats://" + l.Addr().String()
	l.Close()
	b, err = natsroom.Connect(nobody, natsroom.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := natsroom.NewLog(b, natsroom.LogOptions{Wait: 300 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "no NATS server answers") {
		t.Errorf("the error is %v", err)
	}
}

// While JetStream is away, at most a bound of messages wait; those that are taken are stored when it is back.
func TestTooMuchWaitsForJetStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startStreams(t, dir, server.RANDOM_PORT)
	p := startLogged(t, "one", s.ClientURL(), 1)
	p.hub.Options.History.Bytes = 16 << 20 // the stream keeps them all
	a := p.join(nil)
	port := portOf(s)
	s.Shutdown()
	s.WaitForShutdown()
	taken := 0
	text := []byte(strings.Repeat("x", 500_000))
	a.does(func() {
		for ; taken < 100; taken++ {
			if _, err := a.s.Publish(room.Message{Data: text}); err != nil {
				if !errors.Is(err, natsroom.ErrQueueFull) {
					t.Error(err)
				}
				return
			}
		}
	})
	if taken < 4 || taken == 100 {
		t.Fatalf("%d messages of half a megabyte wait", taken)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.log.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush: %v", err)
	}
	startStreams(t, dir, port)
	a.hears(taken)
	if err := p.log.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// At the limit of rooms, one that no process has open is forgotten, the one with the oldest message first.
func TestRoomsThatNobodyHasOpenAreForgottenAtTheLimit(t *testing.T) {
	t.Parallel()
	s := startStreams(t, t.TempDir(), server.RANDOM_PORT)
	open := func(most int) (*natsroom.Log, func(name string) room.LogWriter) {
		b, err := natsroom.Connect(s.ClientURL(), natsroom.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		log, err := natsroom.NewLog(b, natsroom.LogOptions{Wait: patience, MaxRooms: most})
		if err != nil {
			t.Fatal(err)
		}
		return log, func(name string) room.LogWriter {
			t.Helper()
			_, _, w, err := log.Open(name, room.History{Messages: 10}, deaf{})
			if err != nil {
				t.Fatal(name, ": ", err)
			}
			return w
		}
	}
	log, first := open(3)
	a, b := first("a"), first("b")
	defer first("c").Close()
	if _, _, _, err := log.Open("d", room.History{}, deaf{}); !errors.Is(err, room.ErrTooManyRooms) {
		t.Errorf("the fourth room: %v", err)
	}
	if err := a.Publish(&room.Message{Data: []byte("later than b was made")}); err != nil {
		t.Fatal(err)
	}
	if err := log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.Close()
	b.Close()
	js := jetStreamOf(t, s)
	for _, name := range []string{"room-a", "room-b"} {
		until(t, "JetStream is not told that a room is closed", func() bool {
			stream, err := js.Stream(t.Context(), name)
			return err == nil && stream.CachedInfo().State.Consumers == 0
		})
	}
	defer first("d").Close()
	if _, err := js.Stream(t.Context(), "room-b"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the room with the oldest message: %v", err)
	}
	if _, err := js.Stream(t.Context(), "room-a"); err != nil {
		t.Errorf("the other room: %v", err)
	}
}

// deaf is a reader that does not care.
type deaf struct{}

func (deaf) Deliver(room.Message) error { return nil }
func (deaf) Moved(room.Position)        {}
