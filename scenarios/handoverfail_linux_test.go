package scenarios

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/handover"
	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// served is an echo with one client, who makes sure that it is served still.
func served(t *testing.T, engine string) (s *switchboard.Server, stillServed func()) {
	return servedBy(t, engine, theMovingEcho)
}

func servedBy(t *testing.T, engine string, h switchboard.Handler) (s *switchboard.Server, stillServed func()) {
	s = newServer(t, engine)
	s.Accept, s.Moved = everyone(h), movedEcho
	address := start(t, s)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	check := func() {
		t.Helper()
		fresh, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer fresh.Close()
		for _, c := range []net.Conn{c, fresh} {
			c.SetDeadline(time.Now().Add(patience))
			roundTrip(t, c, "still served")
		}
	}
	check()
	return s, check
}

// TestAHandoverThatFailsChangesNothing has what takes over misbehave in every way before it says that it has everything.
func TestAHandoverThatFailsChangesNothing(t *testing.T) {
	hello := handover.AppendHello(nil, handover.Newest, handover.Newest)
	receive := func(l *handover.Link, kinds ...handover.Kind) {
		for {
			f, err := l.Receive(kinds...)
			handover.CloseAll(f.Descriptors)
			if err != nil || f.Kind == kinds[len(kinds)-1] {
				return
			}
		}
	}
	greet := func(l *handover.Link) {
		receive(l, handover.Hello)
		l.Send(handover.Hello, hello, nil)
		receive(l, handover.Listeners)
	}
	hear := func(l *handover.Link) {
		greet(l)
		l.Send(handover.Ready, nil, nil)
		for {
			f, err := l.Receive(handover.Conns, handover.Ahead, handover.Withdrawn, handover.End)
			handover.CloseAll(f.Descriptors)
			if err != nil {
				t.Error(err)
			}
			if err != nil || f.Kind == handover.End {
				return
			}
			if f.Kind == handover.Ahead {
				l.Send(handover.Ready, nil, nil)
			}
		}
	}
	catchUp := func(l *handover.Link) {
		greet(l)
		l.Send(handover.Ready, nil, nil)
		receive(l, handover.Conns, handover.Ahead)
	}
	type taker struct {
		do   func(l *handover.Link, c *net.UnixConn, giveUp context.CancelFunc)
		want string
	}
	for name, h := range map[string]taker{
		"hangs up": {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) {}, ""},
		"says something": {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) {
			receive(l, handover.Hello)
			c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, "does not speak"},
		"refuses": {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) {
			receive(l, handover.Hello)
			l.Send(handover.Refused, []byte("not today"), nil)
		}, "not today"},
		"speaks a version that was not offered": {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) {
			receive(l, handover.Hello)
			l.Send(handover.Hello, handover.AppendHello(nil, 99, 99), nil)
		}, "99"},
		"goes with the listeners":        {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) { greet(l) }, ""},
		"goes with the connections":      {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) { hear(l) }, ""},
		"goes with those that are ahead": {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) { catchUp(l) }, ""},
		"refuses those that are ahead": {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) {
			catchUp(l)
			l.Send(handover.Refused, []byte("not these"), nil)
		}, "not these"},
		"does not catch up": {func(l *handover.Link, c *net.UnixConn, giveUp context.CancelFunc) {
			catchUp(l)
			giveUp()
			receive(l, handover.Late)
		}, "canceled"},
		"says nonsense at the end": {func(l *handover.Link, c *net.UnixConn, _ context.CancelFunc) {
			hear(l)
			l.Send(handover.Mine, []byte{0xff}, nil)
		}, "broken"},
		"hangs at the end": {func(l *handover.Link, c *net.UnixConn, giveUp context.CancelFunc) {
			hear(l)
			giveUp()
			receive(l, handover.Late)
			if err := l.Send(handover.Mine, handover.AppendMine(nil, "", nil), nil); err == nil {
				t.Error("it could say so still")
			}
		}, "canceled"},
		"hangs in the middle of its word": {func(l *handover.Link, c *net.UnixConn, giveUp context.CancelFunc) {
			hear(l)
			c.Write([]byte{byte(handover.Mine), 0, 0, 0})
			giveUp()
			receive(l, handover.Late)
		}, "canceled"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			for _, engine := range engines()[:2] {
				leavesNothing(t)
				s, stillServed := served(t, engine)
				a, b := testsocket.UnixPair(t)
				ctx, giveUp := context.WithTimeout(t.Context(), patience)
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					h.do(handover.NewLink(b), b, giveUp)
					b.Close()
				}()
				handed, err := s.Handover(ctx, a)
				if err == nil || !strings.Contains(err.Error(), h.want) || !strings.HasPrefix(err.Error(), "switchboard: handover: ") {
					t.Errorf("%+v, %v", handed, err)
				}
				a.Close()
				<-gone
				stillServed()
				if s.HandedOver() {
					t.Error("it says that it was handed over")
				}
				next := newServer(t, engine) // and then it works
				next.Accept, next.Moved = everyone(theMovingEcho), movedEcho
				if handed := handOver(t, s, next); handed.Listeners != 1 || handed.Conns == 0 {
					t.Errorf("%+v", handed)
				}
				stillServed()
				stop(next)
				giveUp()
			}
		})
	}
}

// A lateEcho is a movingEcho that never goes ahead.
type lateEcho struct{ switchboard.DataFunc }

func (lateEcho) Move(c *switchboard.Conn) (switchboard.HandlerState, error) {
	return theMovingEcho.Move(c)
}

// What another program refuses stays, with the reason.
func TestWhatIsRefusedStays(t *testing.T) {
	for _, engine := range engines()[:2] {
		refusedStays(t, engine, theMovingEcho)
		refusedStays(t, engine, lateEcho(theMovingEcho))
	}
}

func refusedStays(t *testing.T, engine string, h switchboard.Handler) {
	t.Helper()
	s, stillServed := servedBy(t, engine, h)
	next := newServer(t, engine)
	defer stop(next)
	next.Accept = everyone(theMovingEcho)
	next.Moved = func(*switchboard.Conn, switchboard.HandlerState) (switchboard.Handler, error) {
		return nil, errors.New("too old for me")
	}
	before := s.Stats().Active
	handed := handOver(t, s, next)
	if handed.Conns != 0 || int64(handed.Stayed) > before || handed.Stayed == 0 || handed.Why != "too old for me" {
		t.Errorf("%+v", handed)
	}
	for range 2 { // it goes on being read
		stillServed()
	}
}

func TestATakeoverThatCannotBeIsRefused(t *testing.T) {
	s, stillServed := served(t, engines()[0])
	for name, next := range map[string]*switchboard.Server{
		"nobody": {},
		"ended":  {Accept: everyone(theMovingEcho)},
	} {
		if name == "ended" {
			next.Close()
		}
		a, b := testsocket.UnixPair(t)
		taken := make(chan error, 1)
		go func() {
			_, err := next.Takeover(t.Context(), b)
			taken <- err
		}()
		if _, err := s.Handover(t.Context(), a); err == nil || !strings.Contains(err.Error(), "refuses") {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-taken; err == nil || !strings.HasPrefix(err.Error(), "switchboard: takeover: ") {
			t.Errorf("%s: %v", name, err)
		}
		stillServed()
	}
	a, _ := testsocket.UnixPair(t)
	if _, err := new(switchboard.Server).Handover(t.Context(), a); err == nil {
		t.Error("nothing was handed over, without an error")
	}
}

// Who is told to end while the other process is being asked takes nobody's place: that process would have nothing to serve.
func TestShutdownEndsAHandover(t *testing.T) {
	for _, engine := range engines()[:2] {
		leavesNothing(t)
		s, _ := served(t, engine)
		next := newServer(t, engine)
		next.Accept, next.Moved = everyone(theMovingEcho), movedEcho
		a, b := testsocket.UnixPair(t)
		given := make(chan error, 1)
		go func() {
			_, err := s.Handover(t.Context(), a)
			a.Close()
			given <- err
		}()
		raw, err := b.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Read(func(fd uintptr) bool { // until it has begun
			n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			return n > 0 || err != syscall.EAGAIN
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(ctx) }()
		<-s.Stopped()
		if handed, err := next.Takeover(t.Context(), b); err == nil {
			t.Errorf("taken over: %+v", handed)
		}
		if err := <-given; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Errorf("handed over: %v", err)
		}
		cancel() // its client does not hang up
		<-ended
		stop(next)
	}
}

// While one handover runs, the next one waits.
func TestASecondHandoverWaitsItsTurn(t *testing.T) {
	s, stillServed := served(t, engines()[0])
	a, b := testsocket.UnixPair(t)
	first := make(chan error, 1)
	go func() {
		_, err := s.Handover(t.Context(), a)
		first <- err
	}()
	if _, err := io.ReadFull(b, make([]byte, 4)); err != nil { // it has begun
		t.Fatal(err)
	}
	c, d := testsocket.UnixPair(t)
	ctx, giveUp := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := s.Handover(ctx, c)
		second <- err
	}()
	giveUp()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.Close()
	if n, err := d.Read(make([]byte, 1)); err != io.EOF {
		t.Error("the second handover has begun", n, err)
	}
	b.Close()
	if err := <-first; err == nil {
		t.Error("handed over to nobody")
	}
	stillServed()
}

// TLS connections stay, and Shutdown asks them to leave one after the other.
func TestWhatStaysLeavesOverTime(t *testing.T) {
	for _, engine := range engines()[:2] {
		s := newServer(t, engine)
		s.Loops, s.LeaveTime = 1, 5*time.Hour
		s.Accept, s.TLSConfig = everyone(theMovingEcho), serverTLS()
		address := start(t, s)
		var conns []net.Conn
		for range 5 {
			c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			roundTrip(t, c, "secret")
			conns = append(conns, c)
		}
		next := newServer(t, engine)
		defer stop(next)
		next.Accept, next.TLSConfig = s.Accept, s.TLSConfig
		if handed := handOver(t, s, next); handed.Conns != 0 || handed.Stayed != 5 || handed.Listeners != 1 {
			t.Errorf("%+v", handed)
		}
		fresh, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		fresh.SetDeadline(time.Now().Add(patience))
		roundTrip(t, fresh, "at the new one")
		fresh.Close()
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- s.Shutdown(ctx) }()
		ends := make(chan error, len(conns))
		for _, c := range conns {
			go func() {
				_, err := c.Read(make([]byte, 1))
				ends <- err
			}()
		}
		if err := <-ends; err != io.EOF {
			t.Error("the first did not leave in order:", err)
		}
		if st := s.Stats(); st.Active < 4 {
			t.Errorf("%d connections are left, and it is not time", st.Active)
		}
		cancel()
		if err := <-over; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for range 4 {
			if err := <-ends; err == io.EOF {
				t.Error("what was cut off looks as if it had ended in order")
			}
		}
	}
}
