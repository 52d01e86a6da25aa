package scenarios

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A tenant serves one connection: whatever it says, now or too late, is its own number. Another connection that hears it
// has been mistaken for this one.
type tenant struct {
	number int64
	late   *count
	ended  atomic.Int32
}

func (h *tenant) name() []byte { return fmt.Appendf(nil, "<%08d>", h.number) }

func (h *tenant) Data(c *switchboard.Conn, p []byte) (int, error) {
	if h.ended.Load() > 0 {
		panic("data after the end")
	}
	c.Write(h.name())
	say := func() {
		if h.ended.Load() > 0 {
			panic("a function ran after the end")
		}
		c.Write(h.name())
	}
	c.After(time.Duration(rand.IntN(3))*time.Millisecond, say)
	c.Do(say)
	h.late.Add(1)
	go func() {
		defer h.late.Add(-1)
		for range 5 {
			c.Write(h.name())
			c.Do(say)
			time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
		}
		c.LocalAddr()
		c.CloseWrite()
		c.Abort()
	}()
	switch rand.IntN(4) {
	case 0:
		c.Abort()
	case 1:
		c.Close()
	case 2:
		return 0, io.EOF
	}
	return len(p), nil
}

func (h *tenant) Closed(c *switchboard.Conn, err error) {
	h.ended.Add(1)
	c.Write(h.name())
}

// The kernel gives a descriptor's number away again at once. Thousands of connections come and go here on a handful of
// numbers, each with events, timers, writes and functions on their way when it ends.
func TestNothingMeantForOneConnectionReachesTheNextOnItsDescriptor(t *testing.T) {
	const rounds = 1500
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.LingerTimeout = 5 * time.Millisecond
		var late count
		var number atomic.Int64
		tenants := make([]*tenant, rounds+100)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			h := &tenant{number: number.Add(1), late: &late}
			tenants[h.number] = h
			return h, nil
		}
		address := start(t, s)
		var peers sync.WaitGroup
		for range 4 {
			peers.Go(func() {
				for range rounds / 4 {
					p, err := net.Dial("tcp", address)
					if err != nil {
						t.Error(err)
						return
					}
					p.SetDeadline(time.Now().Add(patience))
					io.WriteString(p, "x")
					if rand.IntN(4) == 0 {
						p.(*net.TCPConn).SetLinger(0)
						p.Close()
						continue
					}
					got, _ := io.ReadAll(p)
					p.Close()
					for i := range got {
						if got[i] != got[i%10] {
							t.Errorf("one connection heard %q", got)
							return
						}
					}
				}
			})
		}
		peers.Wait()
		eventually(t, "nothing is on its way", func() bool { return late.Load() == 0 })
		eventually(t, "all are gone", func() bool { return s.Stats().Active == 0 })
		stop(s)
		for _, h := range tenants[1 : number.Load()+1] {
			if n := h.ended.Load(); n != 1 {
				t.Fatalf("connection %d ended %d times", h.number, n)
			}
		}
	})
}

// The same for dialled connections, whose descriptors change before they are there.
func TestNothingMeantForOneDialReachesTheNext(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			return switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
				c.Write(p)
				c.Close()
				return len(p), nil
			}), nil
		}
		address := start(t, s)
		nobody := listen(t)
		nobody.Close()
		var ends sync.WaitGroup
		for round := range 500 {
			to := address
			if round%3 == 0 {
				to = nobody.Addr().String()
			}
			ends.Add(1)
			name := fmt.Sprintf("<%08d>", round)
			heard := 0
			c := dial(t, s, to, &ending{done: ends.Done, data: func(c *switchboard.Conn, p []byte) (int, error) {
				for i, b := range p {
					if b != name[(heard+i)%10] {
						t.Errorf("heard %q, want %q", p, name)
					}
				}
				heard += len(p)
				return len(p), nil
			}})
			c.Write([]byte(name))
			go func() {
				c.LocalAddr()
				c.Write([]byte(name))
				if round%5 == 0 {
					c.Abort()
				}
			}()
			if round%10 == 0 {
				ends.Wait()
			}
		}
		ends.Wait()
	})
}

type ending struct {
	done func()
	data func(c *switchboard.Conn, p []byte) (int, error)
}

func (h *ending) Data(c *switchboard.Conn, p []byte) (int, error) { return h.data(c, p) }
func (h *ending) Closed(*switchboard.Conn, error)                 { h.done() }
