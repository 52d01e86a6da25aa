package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A porter admits who first says "NAME\n", before TLS if there is any, and calls the client NAME from then on.
type porter struct {
	admitted, ended atomic.Int64
	left            chan string
}

func newPorter() *porter { return &porter{left: make(chan string, 10000)} }

var errStranger = errors.New("no stranger is admitted")

func (a *porter) Admit(c *switchboard.Conn, p []byte) (int, error) {
	name, _, ok := bytes.Cut(p, []byte("\n"))
	switch {
	case !ok:
		return 0, io.ErrUnexpectedEOF
	case string(name) == "stranger":
		return 0, errStranger
	case string(name) == "panic":
		panic("the porter panics")
	case string(name) == "goexit":
		runtime.Goexit()
	case string(name) == "count":
		return len(p) + 1, nil
	case string(name) == "abort":
		c.Abort()
	default:
		a.admitted.Add(1)
	}
	c.SetRemoteAddr(&net.UnixAddr{Name: string(name), Net: "unix"})
	return len(name) + 1, nil
}

func (a *porter) Ended(c *switchboard.Conn) {
	a.ended.Add(1)
	a.left <- c.RemoteAddr().String()
}

func TestAnAdmitterReadsBeforeTLSAndAccept(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		a := newPorter()
		s.Admission = []switchboard.Admitter{a}
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			fmt.Fprintf(c, "%s,", c.RemoteAddr())
			if c.RemoteAddr().String() == "unwanted" {
				return nil, errors.New("unwanted")
			}
			return echo, nil
		}
		config := s.TLSConfig
		address := start(t, s)
		secure := func(p peer) peer {
			if config != nil {
				return p.secures(clientTLS())
			}
			return p
		}
		names := 0
		for i, pieces := range [][]string{{"anne\n"}, {"a", "n", "ne\n"}, {"an", "ne\n"}} {
			p := reach(t, address, net.Dialer{})
			p.Conn.(*net.TCPConn).SetNoDelay(true)
			for _, piece := range pieces {
				p.says(piece)
			}
			p = secure(p)
			names++
			p.says(fmt.Sprint("hello ", i))
			p.hears(fmt.Sprint("anne,hello ", i))
			p.Close()
			if got := next(t, a.left); got != "anne" {
				t.Errorf("%q ended", got)
			}
		}
		// What comes together with the name is the next one's.
		p := reach(t, address, net.Dialer{})
		p.Conn = &prefixed{Conn: p.Conn, prefix: []byte("both\n")}
		p = secure(p)
		p.says("hello")
		p.hears("both,hello")
		p.Close()
		next(t, a.left)
		p = reach(t, address, net.Dialer{})
		p.says("unwanted\n")
		p = secure(p)
		if got, err := io.ReadAll(p); err != nil || string(got) != "unwanted," {
			t.Errorf("who Accept refused heard %q, %v", got, err)
		}
		p.Close()
		next(t, a.left)
		if config != nil { // one whose handshake fails
			p = reach(t, address, net.Dialer{})
			p.says("plain\nGET / HTTP/1.0\r\n\r\n")
			if got := next(t, a.left); got != "plain" {
				t.Errorf("%q ended", got)
			}
		}
		if a.admitted.Load() != a.ended.Load() {
			t.Errorf("%d admitted, %d ended", a.admitted.Load(), a.ended.Load())
		}
	})
}

// A prefixed connection sends something in front of the first bytes that it is given, in one call.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (c *prefixed) Write(p []byte) (int, error) {
	all := append(c.prefix, p...)
	before := len(c.prefix)
	c.prefix = nil
	n, err := c.Conn.Write(all)
	return max(n-before, 0), err
}

func TestWhoIsNotAdmittedIsReset(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		a := newPorter()
		refused := make(chan error, 100)
		s.Admission = []switchboard.Admitter{a}
		s.Handler = echo
		s.InputLimit = 4 << 10
		s.HandshakeTimeout = time.Minute
		s.Trace = &switchboard.Trace{Refused: func(_ *switchboard.Conn, err error) { refused <- err }}
		address := start(t, s)
		panicked := func(err error) bool { _, ok := errors.AsType[*switchboard.PanicError](err); return ok }
		is := func(target error) func(error) bool {
			return func(err error) bool { return errors.Is(err, target) }
		}
		cases := []struct {
			says string
			ends bool
			want func(error) bool
		}{
			{"stranger\n", false, is(errStranger)},
			{"panic\n", false, panicked},
			{"goexit\n", false, panicked},
			{"count\n", false, is(switchboard.ErrBadCount)},
			{"abort\n", false, is(switchboard.ErrAborted)},
			{"ann", true, is(io.ErrUnexpectedEOF)},
			{"", true, is(io.ErrUnexpectedEOF)},
			{strings.Repeat("x", 8<<10), false, is(switchboard.ErrTooLong)},
		}
		for _, c := range cases {
			p := reach(t, address, net.Dialer{})
			p.says(c.says)
			if c.ends {
				p.Conn.(*net.TCPConn).CloseWrite()
			}
			p.hearsReset()
			if err := next(t, refused); !c.want(err) {
				t.Errorf("%.20q: refused for %v", c.says, err)
			}
		}
		eventually(t, "all count as refused", func() bool { return s.Stats().Refused == int64(len(cases)) })
		if a.admitted.Load() != 0 || a.ended.Load() != 0 {
			t.Errorf("%d admitted, %d ended", a.admitted.Load(), a.ended.Load())
		}
	})
}

func TestWhoSaysNothingIsNotAdmittedInTime(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		refused := make(chan error, 1)
		s.Admission = []switchboard.Admitter{newPorter()}
		s.Handler = echo
		s.HandshakeTimeout = 10 * time.Millisecond
		s.Trace = &switchboard.Trace{Refused: func(_ *switchboard.Conn, err error) { refused <- err }}
		p := reach(t, start(t, s), net.Dialer{})
		p.hearsReset()
		if err := next(t, refused); !errors.Is(err, switchboard.ErrHandshakeTimeout) {
			t.Errorf("refused for %v", err)
		}
	})
}

// A connection that has not said who it is carries nothing that is in flight.
func TestShutdownDoesNotWaitForAdmission(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Admission = []switchboard.Admitter{newPorter()}
		s.Handler = echo
		s.LingerTimeout = -1
		address := start(t, s)
		reach(t, address, net.Dialer{}) // says nothing
		served := reach(t, address, net.Dialer{})
		served.says("anne\nhello")
		served.hears("hello")
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		served.hearsEnd("")
	})
}

// Several Admitters are asked in order, and each that has admitted a connection hears of its end, whoever refuses it.
func TestAdmittersAreAskedInOrder(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		first, second := newPorter(), newPorter()
		s.Admission = []switchboard.Admitter{first, second}
		s.Handler = echo
		address := start(t, s)
		p := reach(t, address, net.Dialer{})
		for _, piece := range []string{"on", "e\ntw", "o\nhello"} {
			p.says(piece)
		}
		p.hears("hello")
		p.Close()
		if got := next(t, second.left); got != "two" {
			t.Errorf("%q left the second", got)
		}
		if got := next(t, first.left); got != "two" {
			t.Errorf("%q left the first", got)
		}
		p = reach(t, address, net.Dialer{})
		p.says("one\nstranger\n")
		p.hearsReset()
		if got := next(t, first.left); got != "one" {
			t.Errorf("%q left the first", got)
		}
		if first.ended.Load() != 2 || second.ended.Load() != 1 {
			t.Errorf("the first saw %d ends, the second %d", first.ended.Load(), second.ended.Load())
		}
	})
}

// An exiter leaves the loop's goroutine when it hears of an end.
type exiter struct{ ended chan int }

func (a exiter) Admit(*switchboard.Conn, []byte) (int, error) { return 0, nil }

func (a exiter) Ended(*switchboard.Conn) {
	a.ended <- 1
	runtime.Goexit()
}

func TestAnAdmitterThatExitsKeepsNobodyFromHearingOfTheEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		a := exiter{make(chan int, 10)}
		s.Admission = []switchboard.Admitter{a, a, a}
		h := watch(func(_ *switchboard.Conn, p []byte) (int, error) { return len(p), io.EOF })
		s.Accept = everyone(h)
		address := start(t, s)
		for range 2 { // the loop goes on
			c := call(t, address)
			c.says("bye")
			c.hearsEnd("")
			for range s.Admission {
				next(t, a.ended)
			}
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}
