package scenarios

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/handover"
	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// recorded returns what s says of its only connection to a process that then does not take it.
func recorded(t *testing.T, s *switchboard.Server) handover.Conn {
	t.Helper()
	a, b := testsocket.UnixPair(t)
	over := make(chan error, 1)
	go func() {
		_, err := s.Handover(t.Context(), a)
		over <- err
	}()
	l := handover.NewLink(b)
	l.SetDeadline(time.Now().Add(patience))
	receive := func(kind handover.Kind) handover.Frame {
		f, err := l.Receive(kind)
		if err != nil {
			t.Fatal(err)
		}
		handover.CloseAll(f.Descriptors)
		return f
	}
	receive(handover.Hello)
	l.Send(handover.Hello, handover.AppendHello(nil, handover.Newest, handover.Newest), nil)
	receive(handover.Listeners)
	l.Send(handover.Ready, nil, nil)
	all, err := handover.ReadConns(receive(handover.Conns).Payload)
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	b.Close()
	if err := <-over; err == nil {
		t.Error("nobody has taken over, and it does not say so")
	}
	return all[0]
}

// For how long a connection was idle goes with it, if any timeout counts that.
func TestIdleTimeMoves(t *testing.T) {
	for name, prepare := range map[string]func(s *switchboard.Server){
		"idle":       func(s *switchboard.Server) { s.IdleTimeout = time.Hour },
		"half-close": func(s *switchboard.Server) { s.HalfCloseTimeout = time.Hour },
		"both":       func(s *switchboard.Server) { s.IdleTimeout, s.HalfCloseTimeout = time.Hour, time.Hour },
		"none":       func(s *switchboard.Server) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, "auto")
			conns := accepted(s, theMovingEcho)
			s.Moved = movedEcho
			prepare(s)
			c, err := net.Dial("tcp", start(t, s))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			roundTrip(t, c, "hello")
			conn := <-conns
			for range 2 { // by then the loop has noted when its last byte moved
				onLoop(t, conn, func() {})
			}
			const least = 30 * time.Millisecond
			time.Sleep(least) // it is idle for so long, at least
			r := recorded(t, s)
			if counts := name != "none"; counts && r.Idle < uint64(least/time.Millisecond)-2 || !counts && r.Idle != 0 || r.Idle > r.Age {
				t.Errorf("it was idle for %d ms, and is %d ms old", r.Idle, r.Age)
			}
			roundTrip(t, c, "still here")
		})
	}
}

// A named Shared has nothing but a name.
type named struct{ kind string }

func (s named) Hand(*switchboard.Server) (switchboard.HandlerState, *os.File, error) {
	return switchboard.HandlerState{Kind: s.kind}, nil, nil
}
func (named) Handed(bool)                                   {}
func (named) Take(switchboard.HandlerState, *os.File) error { return nil }
func (named) Taken(bool)                                    {}

// What handlers share has a name of 1024 bytes at most. A longer one is refused before it is sent.
func TestNamesOfWhatIsSharedAreBounded(t *testing.T) {
	s := newServer(t, "auto")
	s.Accept, s.Moved = everyone(theMovingEcho), movedEcho
	s.Shared = named{strings.Repeat("x", 1<<10+1)}
	c, err := net.Dial("tcp", start(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	roundTrip(t, c, "hello") // it serves
	a, b := testsocket.UnixPair(t)
	next := newServer(t, "auto")
	next.Accept, next.Moved, next.Shared = s.Accept, movedEcho, named{}
	defer stop(next)
	over := make(chan error, 1)
	go func() {
		_, err := next.Takeover(t.Context(), b)
		over <- err
	}()
	if _, err := s.Handover(t.Context(), a); err == nil || !strings.Contains(err.Error(), "what the handlers share") {
		t.Error(err)
	}
	a.Close()
	if err := <-over; err == nil {
		t.Error("it was taken over")
	}
	roundTrip(t, c, "still here")
}

// A stirred echo writes to the first connection that has gone ahead when the second one does.
type stirredEcho struct {
	movingEcho
	first *switchboard.Conn
	moves int
}

func (e *stirredEcho) Move(c *switchboard.Conn) (switchboard.HandlerState, error) {
	switch e.moves++; e.moves {
	case 1:
		e.first = c
	case 2:
		e.first.Write([]byte("unasked"))
	}
	return theMovingEcho.Move(c)
}

// A connection that went ahead and was withdrawn is served on when the handover fails after that.
func TestWhatWasWithdrawnIsServedWhenTheHandoverFails(t *testing.T) {
	for _, engine := range engines()[:2] {
		tries := 1
		for ; !withdraws(t, engine) && tries < 20; tries++ { // what is not idle when it is asked does not go ahead
		}
		if tries == 20 {
			t.Errorf("%s: no connection was withdrawn", engine)
		}
	}
}

// withdraws has a handover fail after a connection was to be withdrawn, and tells whether it was.
func withdraws(t *testing.T, engine string) (withdrawn bool) {
	s := newServer(t, engine)
	s.Loops = 1
	accepted := accepted(s, &stirredEcho{movingEcho: theMovingEcho})
	s.Moved = movedEcho
	address := start(t, s)
	var conns [2]net.Conn
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		roundTrip(t, c, "hello")
		conns[i] = c
		conn := <-accepted
		for range 2 { // by then it is idle
			onLoop(t, conn, func() {})
		}
	}
	a, b := testsocket.UnixPair(t)
	over := make(chan error, 1)
	go func() {
		_, err := s.Handover(t.Context(), a)
		over <- err
	}()
	l := handover.NewLink(b)
	l.SetDeadline(time.Now().Add(patience))
	for kind := handover.Hello; kind != handover.End; {
		f, err := l.Receive(handover.Hello, handover.Listeners, handover.Conns, handover.Ahead, handover.Withdrawn, handover.End)
		if err != nil {
			t.Fatal(err)
		}
		handover.CloseAll(f.Descriptors)
		switch kind = f.Kind; kind {
		case handover.Hello:
			l.Send(handover.Hello, handover.AppendHello(nil, handover.Newest, handover.Newest), nil)
		case handover.Listeners, handover.Ahead:
			l.Send(handover.Ready, nil, nil)
		case handover.Withdrawn:
			withdrawn = true
		}
	}
	b.Close()
	if err := <-over; err == nil {
		t.Error("nobody has taken over, and it does not say so")
	}
	unasked := 0
	for range 2 {
		for _, c := range conns {
			c.Write([]byte("still here"))
			got := make([]byte, len("still here"))
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
			if string(got[:7]) == "unasked" {
				unasked++
				io.ReadFull(c, got[:7])
			}
		}
	}
	if withdrawn && unasked != 1 {
		t.Errorf("%d clients have heard what was written meanwhile", unasked)
	}
	return withdrawn
}
