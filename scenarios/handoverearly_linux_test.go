package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// An earlyEcho calls asked for each connection that may go ahead.
type earlyEcho struct {
	movingEcho
	asked func(c *switchboard.Conn)
}

func (e *earlyEcho) MovesEarly(c *switchboard.Conn) bool {
	e.asked(c)
	return true
}

// TestWhatHappensToConnectionsThatWentAhead has all sorts of things happen to connections that went ahead, before the handover
// succeeds or fails.
func TestWhatHappensToConnectionsThatWentAhead(t *testing.T) {
	const clients, ahead = 300, 200 // so many have been asked about when it happens: most of them wait by then
	for _, fails := range []bool{false, true} {
		inTheClear(t, func(t *testing.T, s *switchboard.Server) {
			if s.Engine != "epoll" && s.Engine != "uring" {
				t.Skip("it is the same with the others")
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conns := map[string]net.Conn{}
			var asked []*switchboard.Conn
			happens := make(chan struct{})
			echo := &earlyEcho{movingEcho: theMovingEcho}
			echo.asked = func(c *switchboard.Conn) {
				if asked = append(asked, c); len(asked) != ahead {
					return
				}
				asked[0].Write([]byte("unasked"))
				asked[1].Close()
				asked[2].Abort()
				asked[3].Write([]byte("the last"))
				asked[3].CloseWrite()
				io.WriteString(conns[asked[4].RemoteAddr().String()], "asked meanwhile")
				conns[asked[5].RemoteAddr().String()].(*net.TCPConn).CloseWrite()
				asked[6].Write([]byte("and end"))
				asked[6].Close()
				if close(happens); fails {
					cancel()
				}
			}
			s.Loops, s.Accept, s.Moved = 1, everyone(echo), movedEcho
			address := start(t, s)
			for range clients {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(patience))
				roundTrip(t, c, "here")
				conns[c.LocalAddr().String()] = c
			}
			next := newServer(t, s.Engine)
			next.Accept, next.Moved = everyone(theMovingEcho), movedEcho
			defer stop(next)
			handed := handOverOrNot(ctx, t, s, next, fails)
			<-happens
			t.Logf("%+v", handed)
			if least := clients - 5; !fails && handed.Conns < least {
				t.Errorf("%+v, at least %d move", handed, least)
			}
			peer := func(i int) net.Conn { return conns[asked[i].RemoteAddr().String()] }
			for i, want := range []string{0: "unasked", 4: "asked meanwhile"} {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(peer(i), got); err != nil || string(got) != want {
					t.Errorf("client %d: %q, %v", i, got, err)
				}
			}
			for i, want := range map[int]string{1: "", 3: "the last", 5: "", 6: "and end"} {
				if got, err := io.ReadAll(peer(i)); err != nil || string(got) != want {
					t.Errorf("client %d: %q, %v", i, got, err)
				}
			}
			if n, err := peer(2).Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("client 2: %d, %v", n, err)
			}
			for _, c := range conns {
				if i := slices.IndexFunc(asked, func(sc *switchboard.Conn) bool { return conns[sc.RemoteAddr().String()] == c }); i < 1 || i > 6 || i == 4 {
					roundTrip(t, c, fmt.Sprint("client ", i))
				}
				c.Close()
			}
			if !fails {
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A pipeEnd is the handler of a connection to a target before it is joined, which may go ahead.
type pipeEnd struct {
	opened, asked func(c *switchboard.Conn)
}

func (e *pipeEnd) Opened(c *switchboard.Conn) error {
	e.opened(c)
	return nil
}

func (*pipeEnd) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }

func (*pipeEnd) Closed(*switchboard.Conn, error) {}

func (*pipeEnd) Move(*switchboard.Conn) (switchboard.HandlerState, error) {
	return switchboard.HandlerState{Kind: "end"}, nil
}

func (e *pipeEnd) MovesEarly(c *switchboard.Conn) bool {
	e.asked(c)
	return true
}

// TestWhatHappensToPipesThatWentAhead has all sorts of things happen to Pipes of which both connections went ahead, before the
// handover succeeds or fails.
func TestWhatHappensToPipesThatWentAhead(t *testing.T) {
	const clients, ahead = 300, 200
	for _, fails := range []bool{false, true} {
		inTheClear(t, func(t *testing.T, s *switchboard.Server) {
			if s.Engine != "epoll" && s.Engine != "uring" {
				t.Skip("it is the same with the others")
			}
			target := newServer(t, s.Engine)
			target.Accept = everyone(theMovingEcho)
			to := start(t, target)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var opened, asked []*switchboard.Conn
			var conns []net.Conn
			happens := make(chan struct{})
			end := &pipeEnd{opened: func(c *switchboard.Conn) { opened = append(opened, c) }}
			client := func(i int) *net.TCPConn { return conns[slices.Index(opened, asked[i])].(*net.TCPConn) }
			end.asked = func(c *switchboard.Conn) {
				if asked = append(asked, c); len(asked) != ahead {
					return
				}
				io.WriteString(client(0), "asked meanwhile")
				asked[1].Close()
				asked[2].Abort()
				asked[3].Write([]byte("unasked"))
				client(4).CloseWrite()
				client(5).SetLinger(0)
				client(5).Close()
				for c := range target.Conns() {
					if c.RemoteAddr().String() == asked[6].LocalAddr().String() {
						c.Do(func() {
							c.Write([]byte("and end"))
							c.Close()
						})
					}
				}
				if close(happens); fails {
					cancel()
				}
			}
			s.Loops, s.Accept = 1, func(c *switchboard.Conn) (switchboard.Handler, error) {
				return nil, c.DialPipe(context.Background(), to, nil, end)
			}
			address := start(t, s)
			for range clients {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(patience))
				conns = append(conns, c) // in the order in which targets are opened
				roundTrip(t, c, "here")
			}
			next := newServer(t, s.Engine)
			next.Accept = everyone(theMovingEcho)
			next.Moved = func(*switchboard.Conn, switchboard.HandlerState) (switchboard.Handler, error) {
				return new(pipeEnd), nil
			}
			defer stop(next)
			handed := handOverOrNot(ctx, t, s, next, fails)
			<-happens
			t.Logf("%+v", handed)
			if least := 2 * (clients - 7); !fails && handed.Conns < least {
				t.Errorf("%+v, at least %d move", handed, least)
			}
			for i, want := range map[int]string{0: "asked meanwhile", 3: "unasked"} {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(client(i), got); err != nil || string(got) != want {
					t.Errorf("client %d: %q, %v", i, got, err)
				}
			}
			for i, want := range map[int]string{1: "", 4: "", 6: "and end"} {
				if got, err := io.ReadAll(client(i)); err != nil || string(got) != want {
					t.Errorf("client %d: %q, %v", i, got, err)
				}
			}
			if n, err := client(2).Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("client 2: %d, %v", n, err)
			}
			over := []net.Conn{client(1), client(2), client(4), client(5), client(6)}
			for i, c := range conns {
				if !slices.Contains(over, c) {
					roundTrip(t, c, fmt.Sprint("client ", i))
				}
				c.Close()
			}
			if !fails {
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
			eventually(t, "the targets hear of the ends", func() bool { return target.Stats().Active == 0 })
		})
	}
}

// handOverOrNot has next take over from s, or fail to because ctx is cancelled meanwhile.
func handOverOrNot(ctx context.Context, t *testing.T, s, next *switchboard.Server, fails bool) switchboard.Handed {
	t.Helper()
	a, b := testsocket.UnixPair(t)
	taken := make(chan error, 1)
	go func() {
		_, err := next.Takeover(t.Context(), b)
		taken <- err
	}()
	handed, err := s.Handover(ctx, a)
	if fails != (err != nil) || fails && !errors.Is(err, context.Canceled) {
		t.Fatalf("%+v, %v", handed, err)
	}
	a.Close()
	if err := <-taken; fails != (err != nil) {
		t.Error(err)
	}
	return handed
}
