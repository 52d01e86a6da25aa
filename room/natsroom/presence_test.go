package natsroom_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

// An attended is a process with a Hub whose members are told who comes and goes.
type attended struct {
	t      *testing.T
	nc     *nats.Conn
	bridge *natsroom.Bridge
	hub    *room.Hub
}

func startAttended(t *testing.T, name, url string) *attended {
	t.Helper()
	nc, err := nats.Connect(url, nats.NoEcho(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	b, err := natsroom.New(nc, natsroom.Options{Name: name, Repeat: 20 * time.Millisecond, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return &attended{t, nc, b, &room.Hub{Bridge: b, Logger: quiet, Options: room.Options{Presence: 10 * time.Millisecond}}}
}

var comings = &room.Form{Encode: func(b []byte, m *room.Message) []byte {
	if p := m.Presence; p != nil {
		return fmt.Appendf(b, "+%s -%s %d\n", strings.Join(p.Came, ","), strings.Join(p.Left, ","), p.Members)
	}
	return nil
}}

func (a *attended) enters(names ...string) (all []*listener) {
	a.t.Helper()
	for _, name := range names {
		l := &listener{ear: newEar(a.t), t: a.t}
		l.does(func() {
			l.m = a.hub.Member(l.ear, comings, name)
			var err error
			if l.s, err = l.m.Join("lobby", nil); err != nil {
				a.t.Error(err)
			}
		})
		all = append(all, l)
	}
	return all
}

// sees waits until these and nobody else are in the room.
func (a *attended) sees(names ...string) {
	a.t.Helper()
	r, err := a.hub.Room("lobby")
	if err != nil {
		a.t.Fatal(err)
	}
	slices.Sort(names)
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		here, n := r.Members()
		if slices.Equal(here, names) && n == len(names) {
			return
		}
		if time.Now().After(limit) {
			a.t.Fatalf("%q are here, %d in all, not %q", here, n, names)
		}
	}
}

// changes adds up the events that a member got: who is here now by them.
func (l *listener) changes() map[string]int {
	here := map[string]int{}
	for _, line := range l.all() {
		f := strings.Fields(line)
		for i, step := range []int{1, -1} {
			for name := range strings.SplitSeq(f[i][1:], ",") {
				if name != "" {
					here[name] += step
				}
			}
		}
	}
	return here
}

func TestPresenceInOtherProcesses(t *testing.T) {
	t.Parallel()
	s := startNATS(t, "one", server.RANDOM_PORT)
	a, b := startAttended(t, "one", s.ClientURL()), startAttended(t, "two", s.ClientURL())
	ann := a.enters("ann", "bob")
	cid := b.enters("ann", "cid")
	a.sees("ann", "ann@two", "bob", "cid@two")
	b.sees("ann", "ann@one", "bob@one", "cid")
	late := startAttended(t, "three", s.ClientURL()) // hears of those who were there before
	late.enters("dan")
	late.sees("ann@one", "ann@two", "bob@one", "cid@two", "dan")
	a.sees("ann", "ann@two", "bob", "cid@two", "dan@three")

	cid[1].does(func() { cid[1].m.Rename("cyd") })
	a.sees("ann", "ann@two", "bob", "cyd@two", "dan@three")
	cid[0].does(cid[0].m.Leave)
	a.sees("ann", "bob", "cyd@two", "dan@three")

	late.nc.Close() // without a word, as if it was killed
	a.sees("ann", "bob", "cyd@two")
	b.sees("ann@one", "bob@one", "cyd")
	b.bridge.Close() // with a word
	a.sees("ann", "bob")
	until(t, "the members are not told", func() bool {
		here := ann[0].changes()
		return here["cyd@two"] == 0 && here["cid@two"] == 0 && here["ann@two"] == 0 && here["dan@three"] == 0 && here["bob"] == 1
	})
	for _, line := range ann[0].all() {
		if strings.Contains(line, "bob,") && strings.Contains(line, "-bob") {
			t.Errorf("bob is told to have left: %q", line)
		}
	}
}

// A process tells a bounded number of names, always the same ones, and how many there are.
func TestPresenceOfVeryMany(t *testing.T) {
	t.Parallel()
	const members = 1500
	s := startNATS(t, "one", server.RANDOM_PORT)
	a, b := startAttended(t, "", s.ClientURL()), startAttended(t, "", s.ClientURL())
	watcher := b.enters("watcher")[0]
	l := &listener{ear: newEar(t), t: t}
	var all []*room.Member
	l.does(func() {
		for i := range members {
			m := a.hub.Member(l.ear, comings, fmt.Sprintf("member-%d", i))
			if _, err := m.Join("lobby", nil); err != nil {
				t.Error(err)
			}
			all = append(all, m)
		}
	})
	r, err := b.hub.Room("lobby")
	if err != nil {
		t.Fatal(err)
	}
	counts := func(n int) {
		t.Helper()
		for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			names, m := r.Members()
			if m == n && len(names) <= 1000 && (n > 1) == (len(names) > 1) {
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("%d names of %d, not of %d", len(names), m, n)
			}
		}
	}
	counts(members + 1)
	before, _ := r.Members()
	l.does(func() {
		for _, m := range all[:100] {
			m.Leave()
		}
	})
	counts(members + 1 - 100)
	after, _ := r.Members()
	for _, name := range before {
		var i int
		if fmt.Sscanf(name, "member-%d", &i); i >= 100 && !slices.Contains(after, name) {
			t.Fatalf("%s is not listed any more", name)
		}
	}
	l.does(func() {
		for _, m := range all[100:] {
			m.Leave()
		}
	})
	counts(1)
	if n := watcher.changes()["watcher"]; n != 1 {
		t.Errorf("the watcher is told of itself %d times", n)
	}
}

// The parts of a cluster that is torn apart lose sight of each other, and see each other again.
func TestPresenceInAClusterThatIsTornApart(t *testing.T) {
	t.Parallel()
	one := startNATS(t, "one", server.RANDOM_PORT)
	w := newWire(t, one.ClusterAddr().String())
	two := startNATS(t, "two", server.RANDOM_PORT, w.l.Addr().String())
	until(t, "the cluster does not form", func() bool { return one.NumRoutes() > 0 && two.NumRoutes() > 0 })
	a, b := startAttended(t, "one", one.ClientURL()), startAttended(t, "two", two.ClientURL())
	a.enters("ann")
	b.enters("bob")
	for range 2 {
		a.sees("ann", "bob@two")
		b.sees("ann@one", "bob")
		w.set(true)
		a.sees("ann")
		b.sees("bob")
		w.set(false)
	}
	a.sees("ann", "bob@two")
	b.sees("ann@one", "bob")
}
