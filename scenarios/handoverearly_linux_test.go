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
