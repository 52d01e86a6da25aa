package scenarios

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A talker counts what Write took.
type talker struct {
	taken atomic.Int64
	ends  atomic.Int32
	ended chan *talker
	c     *switchboard.Conn
	err   error
}

func (h *talker) write(c *switchboard.Conn) {
	n, _ := c.Write(make([]byte, 1+rand.IntN(40_000)))
	h.taken.Add(int64(n))
}

func (h *talker) Data(c *switchboard.Conn, p []byte) (int, error) {
	for range rand.IntN(10) {
		h.write(c)
	}
	c.Do(func() { h.write(c) })
	go h.write(c)
	switch rand.IntN(8) {
	case 0:
		c.Close()
	case 1:
		c.Abort()
	case 2:
		return len(p), io.EOF
	case 3:
		c.CloseWrite()
	}
	return len(p), nil
}

func (h *talker) Closed(c *switchboard.Conn, err error) {
	h.c, h.err = c, err
	if h.ends.Add(1) == 1 {
		h.ended <- h
	}
}

func TestEveryConnectionEndsOnceAndEveryByteIsSentOrMissed(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		const clients, each = 4, 40
		logTo(s)
		ended := make(chan *talker, clients*each)
		var opened count
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			opened.Add(1)
			return &talker{ended: ended}, nil
		}
		address := start(t, s)
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range each {
					p, err := net.Dial("tcp", address)
					if err != nil {
						t.Error(err)
						return
					}
					p.SetDeadline(time.Now().Add(patience))
					for range 1 + rand.IntN(5) {
						io.WriteString(p, "x")
						p.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
						io.CopyN(io.Discard, p, int64(rand.IntN(50_000)))
					}
					if rand.IntN(3) == 0 {
						p.(*net.TCPConn).SetLinger(0)
					} else {
						p.(*net.TCPConn).CloseWrite()
						p.SetReadDeadline(time.Now().Add(patience))
						io.Copy(io.Discard, p)
					}
					p.Close()
				}
			})
		}
		wg.Wait()
		var all []*talker
		for range opened.Load() {
			h := next(t, ended)
			all = append(all, h)
			eventually(t, "no writer is left", func() bool { _, err := h.c.Write(nil); return err != nil })
			missed := errors.Is(h.err, switchboard.ErrUnsent)
			if taken, sent := h.taken.Load(), h.c.Sent(); sent > taken || (sent < taken) != missed {
				t.Errorf("%d bytes taken and %d sent, at the end %v", taken, sent, h.err)
			}
		}
		stop(s)
		for _, h := range all {
			if n := h.ends.Load(); n != 1 {
				t.Errorf("Close was called %d times", n)
			}
		}
	})
}
