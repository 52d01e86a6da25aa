package natsroom_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// startNATS starts a server of NATS that is one of a cluster.
func startNATS(t *testing.T, name string, port int, routes ...string) *server.Server {
	t.Helper()
	o := &server.Options{ServerName: name, Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true}}
	for _, r := range routes {
		u, err := url.Parse("nats://" + r)
		if err != nil {
			t.Fatal(err)
		}
		o.Routes = append(o.Routes, u)
	}
	s, err := server.NewServer(o)
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

// A wire passes connections on, until it is cut.
type wire struct {
	l     net.Listener
	led   chan bool // closed when it leads somewhere
	ended chan bool

	mu    sync.Mutex
	to    string
	cut   bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{l: l, led: make(chan bool), ended: make(chan bool), conns: map[net.Conn]bool{}}
	if to != "" {
		w.lead(to)
	}
	w.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() { w.pass(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(w.ended)
		w.set(true)
		w.wg.Wait()
	})
	return w
}

func (w *wire) pass(c net.Conn) {
	defer c.Close()
	select {
	case <-w.led:
	case <-w.ended:
		return
	}
	w.mu.Lock()
	cut, to := w.cut, w.to
	w.mu.Unlock()
	if cut {
		return
	}
	other, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer other.Close()
	w.mu.Lock()
	if w.cut {
		w.mu.Unlock()
		return
	}
	w.conns[c], w.conns[other] = true, true
	w.mu.Unlock()
	w.wg.Go(func() {
		io.Copy(other, c)
		other.Close()
	})
	io.Copy(c, other)
}

// lead has the wire lead somewhere. Connections that came before wait for it.
func (w *wire) lead(to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == "" {
		close(w.led)
	}
	w.to = to
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			c.Close()
		}
		clear(w.conns)
	}
}

// An ear is a member that writes down what it is sent.
type ear struct {
	tasks chan func()
	done  chan struct{}
	mu    sync.Mutex
	lines []string
}

func newEar(t *testing.T) *ear {
	e := &ear{tasks: make(chan func(), 1000), done: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case f := <-e.tasks:
				f()
			case <-e.done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(e.done)
		<-ended
	})
	return e
}

func (e *ear) Do(f func()) error {
	select {
	case e.tasks <- f:
		return nil
	case <-e.done:
		return net.ErrClosed
	}
}

func (e *ear) Loop() room.Loop { return e }

func (e *ear) Send(payloads []*room.Payload) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range payloads {
		e.lines = append(e.lines, strings.Split(strings.TrimSuffix(string(p.Bytes), "\n"), "\n")...)
	}
	return true, nil
}

func (e *ear) Join(payloads []*room.Payload) *room.Payload {
	all := new(room.Payload)
	for _, p := range payloads {
		all.Bytes = append(all.Bytes, p.Bytes...)
	}
	return all
}

func (e *ear) WhenSent(f func()) { go e.Do(f) }
func (e *ear) Expel(string)      {}
func (e *ear) Pause()            {}
func (e *ear) Resume()           {}

// heard returns what came from elsewhere, and how many messages were told to be missing.
func (e *ear) heard() (lines []string, missed int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lines {
		var n int
		if _, err := fmt.Sscanf(l, "missed %d", &n); err == nil {
			missed += n
		} else if strings.HasPrefix(l, "remote ") {
			lines = append(lines, strings.TrimPrefix(l, "remote "))
		}
	}
	return lines, missed
}

var form = &room.Form{Encode: func(b []byte, m *room.Message) []byte {
	switch {
	case m.Missed > 0:
		return fmt.Appendf(b, "missed %d\n", m.Missed)
	case m.Remote:
		return fmt.Appendf(b, "remote %s %s\n", m.From, m.Data)
	}
	return fmt.Appendf(b, "here %s %s\n", m.From, m.Data)
}}

// A process is a hub with a bridge, and somebody in a room.
type process struct {
	t    *testing.T
	name string
	ear  *ear
	room *room.Room
	said int
}

func startProcess(t *testing.T, name, url string) *process {
	t.Helper()
	b, err := natsroom.Connect(url, natsroom.Options{Name: name, Repeat: 50 * time.Millisecond, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return sits(t, &room.Hub{Bridge: b, Logger: quiet, Options: room.Options{Queue: 1 << 20}}, name)
}

// sits puts somebody into a room.
func sits(t *testing.T, hub *room.Hub, name string) *process {
	t.Helper()
	p := &process{t: t, name: name, ear: newEar(t)}
	joined := make(chan error, 1)
	p.ear.Do(func() {
		s, err := hub.Member(p.ear, form, name).Join("a room of *", nil)
		if err == nil {
			p.room = s.Room()
		}
		joined <- err
	})
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) says(n int) {
	p.t.Helper()
	for range n {
		p.said++
		if _, err := p.room.Publish(room.Message{From: "me", Data: fmt.Append(nil, p.said)}); err != nil {
			p.t.Fatal(err)
		}
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal(what)
		}
	}
}

// knows waits until p has heard of everything that other has said, and returns how many messages it missed.
func (p *process) knows(other *process) (missed int) {
	p.t.Helper()
	until(p.t, p.name+" does not know of all that "+other.name+" said", func() bool {
		lines, missed := p.ear.heard()
		return len(lines)+missed == other.said
	})
	lines, missed := p.ear.heard()
	last := 0
	for _, l := range lines {
		var n int
		if _, err := fmt.Sscanf(l, "me@"+other.name+" %d", &n); err != nil || n <= last || n > other.said {
			p.t.Fatalf("%s hears %q after %d", p.name, l, last)
		}
		last = n
	}
	return missed
}

// wakes has two processes hear of each other.
func acquaint(t *testing.T, a, b *process) {
	t.Helper()
	until(t, "the processes do not hear each other", func() bool {
		x, _ := a.ear.heard()
		y, _ := b.ear.heard()
		if len(x) > 0 && len(y) > 0 {
			return true
		}
		a.says(1)
		b.says(1)
		return false
	})
}

// What the two said before they heard each other is not known to be missed: it is taken off.
func (p *process) forgetsUntil(other *process) {
	p.t.Helper()
	until(p.t, "nothing comes", func() bool {
		lines, _ := p.ear.heard()
		return len(lines) > 0 && strings.HasSuffix(lines[len(lines)-1], fmt.Sprint(" ", other.said))
	})
	p.ear.mu.Lock()
	p.ear.lines = nil
	p.ear.mu.Unlock()
}

func TestAClusterThatIsTornApartAndHeals(t *testing.T) {
	one := startNATS(t, "one", server.RANDOM_PORT)
	w := newWire(t, one.ClusterAddr().String())
	two := startNATS(t, "two", server.RANDOM_PORT, w.l.Addr().String())
	until(t, "the cluster does not form", func() bool { return one.NumRoutes() > 0 && two.NumRoutes() > 0 })
	a, b := startProcess(t, "a", one.ClientURL()), startProcess(t, "b", two.ClientURL())
	acquaint(t, a, b)
	a.forgetsUntil(b)
	b.forgetsUntil(a)
	aBefore, bBefore := a.said, b.said
	a.said, b.said = 0, 0
	a.says(100)
	b.says(100)
	if n := a.knows(b) + b.knows(a); n != 0 {
		t.Errorf("%d are missed in a cluster that is whole", n)
	}
	w.set(true)
	until(t, "the cluster is not torn", func() bool { return one.NumRoutes() == 0 && two.NumRoutes() == 0 })
	a.says(7)
	b.says(5)
	if lines, missed := a.ear.heard(); len(lines) != 100 || missed != 0 {
		t.Errorf("through a wire that is cut came %d lines, %d missed", len(lines), missed)
	}
	w.set(false)
	until(t, "the cluster does not heal", func() bool { return one.NumRoutes() > 0 && two.NumRoutes() > 0 })
	if n := a.knows(b); n != 5 { // without another word of b's
		t.Errorf("a is told of %d missed", n)
	}
	if n := b.knows(a); n != 7 {
		t.Errorf("b is told of %d missed", n)
	}
	a.says(3)
	b.says(3)
	if n := a.knows(b) + b.knows(a); n != 12 {
		t.Errorf("%d are missed after it healed", n)
	}
	a.ear.mu.Lock()
	own := 0
	for _, l := range a.ear.lines {
		if strings.HasPrefix(l, "here ") {
			own++
		}
	}
	a.ear.mu.Unlock()
	if own != 110 {
		t.Errorf("a heard %d of its own 110, besides %d and %d before", own, aBefore, bBefore)
	}
}

func TestAServerOfNATSThatIsRestarted(t *testing.T) {
	first := startNATS(t, "one", server.RANDOM_PORT)
	port := first.Addr().(*net.TCPAddr).Port
	a, b := startProcess(t, "a", first.ClientURL()), startProcess(t, "b", first.ClientURL())
	acquaint(t, a, b)
	a.forgetsUntil(b)
	b.forgetsUntil(a)
	a.said, b.said = 0, 0
	a.says(10)
	b.knows(a)
	first.Shutdown()
	first.WaitForShutdown()
	a.says(10)
	startNATS(t, "two", port)
	a.says(10)
	missed := b.knows(a)
	b.says(10)
	a.knows(b)
	t.Logf("%d of 30 were missed", missed)
}

func TestStrangersInARoom(t *testing.T) {
	for _, prefix := range []string{"a b", "*", "a.>", ".a", "a."} {
		if _, err := natsroom.New(nil, natsroom.Options{Prefix: prefix}); err == nil {
			t.Errorf("prefix %q is taken", prefix)
		}
	}
}

// A stranger's messages are not passed on, the log tells of them once in a while, and others are heard beside them.
func TestAStrangerFloodsARoom(t *testing.T) {
	s := startNATS(t, "one", server.RANDOM_PORT)
	a := startProcess(t, "a", s.ClientURL())
	var log lockedText
	b, err := natsroom.Connect(s.ClientURL(), natsroom.Options{Name: "b", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := &process{t: t, name: "b", ear: newEar(t)}
	joined := make(chan error, 1)
	p.ear.Do(func() {
		hub := &room.Hub{Bridge: b, Logger: quiet}
		s, err := hub.Member(p.ear, form, "b").Join("a room of *", nil)
		if err == nil {
			p.room = s.Room()
		}
		joined <- err
	})
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	acquaint(t, a, p)
	p.forgetsUntil(a)
	a.said = 0
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const packets = 1000
	for i := range packets {
		if err := nc.Publish("room.a%20room%20of%20%2a", []byte(strings.Repeat("x", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	a.says(10)
	if n := p.knows(a); n != 0 {
		t.Errorf("%d are missed", n)
	}
	if n := strings.Count(log.String(), "a stranger publishes in a room"); n < 1 || n > 7 { // in a minute
		t.Errorf("the log tells of %d packets %d times", packets, n)
	}
}

type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
