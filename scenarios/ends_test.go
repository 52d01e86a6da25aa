//go:build unix

package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
)

// A peer that is told of a failure has heard all that was written before, also while it still sends.
func TestFailureIsAResetBehindWhatWasWritten(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		oops := errors.New("oops")
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Write([]byte("what went wrong\n"))
			return len(p), oops
		})
		s.Accept = everyone(h)
		address := start(t, s)
		p := call(t, address)
		p.says("x")
		p.hearsFailure("what went wrong\n")
		if err := next(t, h.ended); err != oops {
			t.Errorf("ended with %v", err)
		}
		q := call(t, address)
		go io.WriteString(q, noise(3, 3_000_000)) // more than the sockets hold: it is dropped until the reset
		got, err := io.ReadAll(q)
		if string(got) != "what went wrong\n" || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("heard %q, %v", got, err)
		}
		next(t, h.ended)
		eventually(t, "both are counted", func() bool { return s.Stats().Ends.Failed == 2 })
	})
}

func TestEndsAreCountedByReason(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		logTo(s)
		s.LingerTimeout = -1
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			switch p[0] {
			case 'p':
				panic("p")
			case 'c':
				return len(p) + 1, nil
			case 'e':
				return 0, errors.New("e")
			case 'a':
				c.Abort()
			case 'u':
				return 0, nil
			}
			return len(p), nil
		}))
		address := start(t, s)
		for _, what := range []string{"p", "c", "e", "a", "u", "o", "r"} {
			p := call(t, address)
			p.says(what)
			if what == "r" {
				eventually(t, "it is received", func() bool { return s.Stats().Messages >= 7 })
				p.resets()
				continue
			}
			p.Conn.(*net.TCPConn).CloseWrite() // whoever is reset already cannot
			io.Copy(io.Discard, p)
			p.Close()
		}
		want := switchboard.Ends{Orderly: 1, Panics: 1, Invalid: 2, Failed: 1, Aborted: 1, Reset: 1}
		eventually(t, fmt.Sprintf("they are %+v", want), func() bool { return s.Stats().Ends == want })
	})
}

func TestIdleEndKeepsWhatWasWritten(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.IdleTimeout = 50 * time.Millisecond
		all := noise(4, 500_000)
		s.QueueLimit = 1 << 20
		releases := make(chan func(), 1)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			releases <- c.Hold() // until the client has said all, however long that takes
			return switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
				c.Write([]byte(all))
				c.Pause() // what the client says from here on is never read
				return len(p), nil
			}), nil
		}
		p := call(t, start(t, s))
		p.says("x")
		eventually(t, "it is received", func() bool { return s.Stats().Messages == 1 })
		p.says("unread")
		next(t, releases)()
		p.hearsEnd(all)
	})
}

// A duration that is too long to ever end never ends.
func TestLongestDurationsNeverEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		for _, d := range []*time.Duration{&s.IdleTimeout, &s.WriteTimeout, &s.LingerTimeout, &s.DialTimeout,
			&s.HandshakeTimeout, &s.HalfCloseTimeout, &s.SlowCall} {
			*d = math.MaxInt64
		}
		fired := make(chan bool, 1)
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			c.After(math.MaxInt64, func() { fired <- true })
			return c.Write(p)
		}))
		p := call(t, start(t, s))
		p.says("hello")
		p.hears("hello")
		time.Sleep(200 * time.Millisecond)
		p.says("again")
		p.hears("again")
		if len(fired) > 0 {
			t.Error("a timer fired")
		}
	})
}

// Dial, Write and Close before the connection is there deliver what was written.
func TestCloseBeforeTheConnectionIsThereDelivers(t *testing.T) {
	for _, secured := range []bool{false, true} {
		inTheClear(t, func(t *testing.T, s *switchboard.Server) {
			heard := make(chan string, 100)
			serve := func(c net.Conn) {
				all, err := io.ReadAll(c)
				heard <- fmt.Sprint(string(all), err)
				c.Close()
			}
			h := watch((*switchboard.Conn).Write)
			var address string
			if secured {
				address = foreign(t, serverTLS(), serve)
			} else {
				l := listen(t)
				address = l.Addr().String()
				go func() {
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						go serve(c)
					}
				}()
			}
			for range 20 {
				var c *switchboard.Conn
				var err error
				if secured {
					c, err = s.DialTLS(context.Background(), address, clientTLS(), h)
				} else {
					c, err = s.Dial(context.Background(), address, h)
				}
				if err != nil {
					t.Fatal(err)
				}
				c.Write([]byte("last will"))
				c.Close()
				if got := next(t, heard); got != "last will<nil>" {
					t.Errorf("heard %q", got)
				}
				if err := next(t, h.ended); err != nil {
					t.Errorf("ended with %v", err)
				}
			}
			stop(s)
		})
	}
}

// Half-close, then a reset: the server hears of it though it waits for nothing else.
func TestResetAfterHalfCloseIsHeard(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		if s.Engine == "select" {
			t.Skip("select(2) cannot wait for an error alone") // HalfCloseTimeout is for that
		}
		halves := make(chan bool, 10)
		h := &ender{watch(func(c *switchboard.Conn, p []byte) (int, error) { return len(p), nil }),
			func(*switchboard.Conn, []byte) error {
				halves <- true
				return nil
			}}
		s.Accept = everyone(h)
		address := start(t, s)
		for range 5 {
			p := call(t, address)
			p.endsOutput()
			next(t, halves)
			p.resets()
			if err := next(t, h.ended); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("ended with %v", err)
			}
		}
		eventually(t, "none is left", func() bool { return s.Stats().Active == 0 })
	})
}

func TestHalfCloseTimeoutEndsWhatStaysHalfClosed(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.HalfCloseTimeout = 30 * time.Millisecond
		h := &ender{watch(func(c *switchboard.Conn, p []byte) (int, error) { return len(p), nil }),
			func(*switchboard.Conn, []byte) error { return nil }}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.endsOutput()
		p.hearsReset()
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrHalfClosed) {
			t.Errorf("ended with %v", err)
		}
	})
}

// A handler that refills its queue whenever it can is told of the end of input all the same.
func TestDrainerThatAlwaysRefillsHearsTheEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := &generator{ended: make(chan error, 1), input: make(chan bool, 1)}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("go")
		io.ReadFull(p, make([]byte, 1<<20))
		p.endsOutput()
		go io.Copy(io.Discard, p)
		next(t, h.input)
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

type generator struct {
	ended chan error
	input chan bool
}

func (h *generator) Data(c *switchboard.Conn, p []byte) (int, error) {
	h.Drained(c)
	return len(p), nil
}

func (h *generator) Drained(c *switchboard.Conn) {
	for !c.Full() {
		if _, err := c.Write(make([]byte, 10_000)); err != nil {
			return
		}
	}
}

func (h *generator) InputEnded(*switchboard.Conn, []byte) error { h.input <- true; return io.EOF }

func (h *generator) Closed(_ *switchboard.Conn, err error) { h.ended <- err }

// What is offered at once a Write takes, whatever the limits are.
func TestWhatIsOfferedCanBeWritten(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		for _, limits := range [][2]int{{64 << 10, 128 << 10}, {1000, 1000}, {1 << 10, 20 << 10}} {
			all := noise(5, max(200_000, 30*limits[1])) // some hundred writes, or more than the systems' buffers
			s := &switchboard.Server{Engine: s.Engine, TLSConfig: s.TLSConfig, Accept: everyone(echo), Logger: s.Logger,
				HighWater: limits[0], QueueLimit: limits[1], InputLimit: 4 << 20}
			p := call(t, start(t, s))
			go func() {
				io.WriteString(p, all)
				p.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			got, err := io.ReadAll(p)
			if err != nil || string(got) != all {
				t.Errorf("%d of %d bytes came back with %v: %v", len(got), len(all), limits, err)
			}
		}
	})
}

// A process that was stopped for longer than the timeout hangs up on nobody who has spoken meanwhile.
func TestStoppedProcessHangsUpOnNobodyWhoSpoke(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			whileCalm(t, 300*time.Millisecond, func(span time.Duration, pace *pace) error {
				t.Setenv(idleVariable, span.String())
				c := startChild(t, "echo with a timeout", engine)
				var pid int
				fmt.Sscan(c.answer(), &pid)
				var peers []peer
				pace.last = time.Now()
				for range 100 {
					p := call(t, c.address)
					defer p.Close()
					if err := attempt(p, "x", "x"); err != nil {
						return err
					}
					peers = append(peers, p)
				}
				pace.step() // the first has waited for all others
				for range 2 {
					syscall.Kill(pid, syscall.SIGSTOP)
					for range 5 {
						time.Sleep(span / 3)
						for _, p := range peers {
							p.says("y") // which the system takes
						}
						pace.step()
					}
					syscall.Kill(pid, syscall.SIGCONT)
					for _, p := range peers {
						if err := attempt(p, "", "yyyyy"); err != nil {
							return err
						}
					}
					pace.step()
				}
				return nil
			})
		})
	}
}

const idleVariable = "SWITCHBOARD_TEST_IDLE"

func init() {
	children["echo with a timeout"] = func() {
		idle, _ := time.ParseDuration(os.Getenv(idleVariable))
		s := &switchboard.Server{Engine: os.Getenv(engineVariable), Accept: everyone(echo), IdleTimeout: idle, SlowCall: -1}
		l, err := socket.CreateServer("127.0.0.1:0", nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		a, _ := l.LocalAddr()
		fmt.Println(a)
		fmt.Println(os.Getpid())
		go s.ServeSocket(l)
		io.Copy(io.Discard, os.Stdin)
		s.Close()
	}
}
