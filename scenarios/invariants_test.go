package scenarios

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
)

// What always holds, and where it is shown:
//
//	an idle connection owns one struct              TestIdleConnectionOwnsOneStructAndNothingElse
//	a Conn is touched on its loop alone             TestConnMayBeUsedFromAnyGoroutineWhereItSaysSo
//	memory is bounded both ways                     TestMemoryIsBoundedBothWays
//	a reused descriptor number confuses nobody      TestNothingMeantForOneConnectionReachesTheNextOnItsDescriptor
//	one Close for each connection, bytes accounted  TestEveryConnectionEndsOnceAndEveryByteIsSentOrMissed
//	no handler stops a loop                         TestNoHandlerStopsALoop, TestPanicEndsItsOwnConnectionAndNobodyElses,
//	                                                TestFloodHasBoundedTurns, TestServerWithoutDescriptorsPausesAndResumes
//	half-close is honoured                          TestNcThatEndsItsInputStillGetsTheReply
//	blocking calls park the goroutine               TestBlockingCallsOfSocketsParkTheGoroutineAndNoThread
//	errors name the call, the address and the cause TestErrorsNameTheCallTheAddressAndTheCause

// Everything that any goroutine may call is called while the loop is at work: the race detector is the judge.
func TestConnMayBeUsedFromAnyGoroutineWhereItSaysSo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := watch((*switchboard.Conn).Write)
		conns := accepted(s, h)
		address := start(t, s)
		for range 5 {
			p := call(t, address)
			c := next(t, conns)
			var wg sync.WaitGroup
			for _, use := range []func(){
				func() { c.Write([]byte("w")) },
				func() { c.Writev([]byte("w"), []byte("v")) },
				func() { c.Do(func() { c.Pause(); c.Resume() }) },
				func() {
					c.Queued()
					c.Full()
					c.Sent()
					c.Received()
					c.Age()
					c.Loop()
					c.Server()
				},
				func() { c.LocalAddr(); c.RemoteAddr() },
				func() { s.Stats() },
			} {
				wg.Go(func() {
					for range 200 {
						use()
					}
				})
			}
			wg.Go(func() { io.Copy(io.Discard, p) })
			wg.Go(func() {
				for range 200 {
					io.WriteString(p, "hello")
				}
				c.CloseWrite()
				go c.Close()
				go c.Abort()
				p.Close()
			})
			wg.Wait()
			next(t, h.ended)
		}
	})
}

// A peer that sends and never reads has its own sending stopped.
func TestMemoryIsBoundedBothWays(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.HighWater, s.ReadBuffer = 100_000, 16_000
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		all := noise(30, 12_000_000)
		go func() {
			io.WriteString(p, all)
			p.Conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		most := 0
		eventually(t, "nothing moves", func() bool {
			before := c.Received()
			time.Sleep(5 * time.Millisecond)
			most = max(most, c.Queued())
			return c.Full() && before == c.Received()
		})
		if c.Received() == int64(len(all)) {
			t.Error("all of it was received: nothing is shown")
		}
		if most > s.HighWater+2*s.ReadBuffer {
			t.Errorf("%d bytes are queued", most)
		}
		p.hearsEnd(all)
	})
}

func TestNoHandlerStopsALoop(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		logTo(s)
		s.Loops = 1
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			switch p[0] {
			case 'p':
				panic("oops")
			case 'f': // a firehose in both directions
				for {
					if _, err := c.Write(make([]byte, 10_000)); err != nil {
						return len(p), nil
					}
				}
			case 'n':
				return 0, nil
			case 'd': // work for the loop that makes more work
				var again func()
				again = func() { c.Do(again) }
				again()
			case 'r':
				c.Pause()
				c.Resume()
				return 0, nil
			}
			return c.Write(p)
		}))
		address := start(t, s)
		for _, what := range []string{"p", "n", "d", "r"} {
			call(t, address).says(what)
		}
		flood := call(t, address)
		go func() {
			for {
				if _, err := flood.Write([]byte(strings.Repeat("f", 10_000))); err != nil {
					return
				}
			}
		}()
		p := call(t, address)
		for range 100 {
			p.says("echo")
			p.hears("echo")
		}
	})
}

func TestBlockingCallsOfSocketsParkTheGoroutineAndNoThread(t *testing.T) {
	leavesNothing(t)
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if runtime.GOOS != "linux" || err != nil {
			t.Skip("no count of threads here")
		}
		return len(tasks)
	}
	before := threads()
	const many = 200
	results := make(chan error, many)
	var ends []*socket.Socket
	for i := range many {
		a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, a)
		defer b.Close()
		if i%2 == 0 {
			a.SetTimeout(50 * time.Millisecond)
		}
		go func() {
			_, err := a.Recv(make([]byte, 1))
			results <- err
		}()
	}
	for range many / 2 {
		if err := next(t, results); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a Recv with a timeout gave %v", err)
		}
	}
	if n := threads() - before; n > 20 {
		t.Errorf("%d threads for %d calls", n, many)
	}
	for _, a := range ends {
		a.Close()
	}
	for range many / 2 {
		if err := next(t, results); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Recv whose socket was closed gave %v", err)
		}
	}
}

func TestErrorsNameTheCallTheAddressAndTheCause(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) { return len(p), nil })
		conns := accepted(s, h)
		address := start(t, s)
		nobody := listen(t)
		nobody.Close()
		for what, c := range map[string]struct {
			do   func() error
			says []string
			is   error
		}{
			"connect": {func() error {
				d := newDialler()
				dial(t, s, nobody.Addr().String(), d)
				return next(t, d.ended)
			}, []string{"dial tcp " + nobody.Addr().String(), "connect: connection refused"}, syscall.ECONNREFUSED},
			"read": {func() error {
				p := call(t, address)
				next(t, conns)
				p.resets()
				return next(t, h.ended)
			}, []string{"read tcp 127.0.0.1:", "connection reset by peer"}, syscall.ECONNRESET},
			"write": {func() error {
				call(t, address)
				c := next(t, conns)
				c.Close()
				_, err := c.Write([]byte("late"))
				c.Abort()
				next(t, h.ended)
				return err
			}, []string{"write tcp 127.0.0.1:", "closed"}, net.ErrClosed},
			"listen": {func() error { return s.ListenAndServe(address) },
				[]string{"bind", address, "in use"}, syscall.EADDRINUSE},
			"no such name": {func() error {
				d := newDialler()
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if _, err := s.Dial(ctx, "no-such-host.invalid:1", d); err != nil {
					return err
				}
				return next(t, d.ended)
			}, []string{"dial tcp no-such-host.invalid:1"}, nil},
		} {
			err := c.do()
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: %v is not %v", what, err, c.is)
			}
			for _, part := range c.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v does not say %q", what, err, part)
				}
			}
		}
	})
}
