package room_test

import (
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/socket"
)

// Messages wait for all members at once: a thousand who are stuck at a limit of 64 KiB share them.
func TestStuckMembersShareWhatWaitsForThem(t *testing.T) {
	for _, size := range []int{64, 1 << 10} {
		t.Run(fmt.Sprintf("messages of %d bytes", size), func(t *testing.T) {
			const members, most = 1000, 2 << 20
			hub := &room.Hub{Options: room.Options{Queue: 64 << 10, Policy: room.DropOldest}}
			r := stuckRoom(t, hub, members, numbered)
			before := heapInUse()
			text, published := make([]byte, size), 0
			for !allDrop(r.server, 100) {
				for range 100 {
					if _, err := r.Publish(room.Message{Data: text}); err == nil {
						published++
					} else {
						time.Sleep(time.Millisecond)
					}
				}
			}
			n := heapInUse() - before
			t.Logf("%d messages, of which %d bytes wait", published, n)
			if n > most {
				t.Errorf("what waits takes %d bytes", n)
			}
			runtime.KeepAlive(r)
		})
	}
}

// A stuck is a room with members that read nothing.
type stuck struct {
	*room.Room
	server  *switchboard.Server
	address string
	joined  chan error // gets a value for each member
}

func stuckRoom(t testing.TB, hub *room.Hub, members int, form *room.Form) stuck {
	t.Helper()
	h := listeners{hub, form, make(chan error, members+1)}
	s := &switchboard.Server{Handler: h, WriteTimeout: -1, Logger: slog.New(slog.DiscardHandler)}
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetOption(socket.SOL_SOCKET, socket.SO_SNDBUF, 4<<10); err != nil { // little waits in the system
		t.Fatal(err)
	}
	address, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeSocket(l) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	for range members {
		c, err := net.Dial("tcp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		if err := <-h.joined; err != nil {
			t.Fatal(err)
		}
	}
	r, err := hub.Room("room")
	if err != nil {
		t.Fatal(err)
	}
	return stuck{r, s, address.String(), h.joined}
}

// listeners is the handler of members that say nothing.
type listeners struct {
	hub    *room.Hub
	form   *room.Form
	joined chan error
}

func (h listeners) Opened(c *switchboard.Conn) error {
	s, err := h.hub.Member(room.Stream(c), h.form, "").Join("room", nil)
	c.SetValue(s)
	h.joined <- err
	return err
}

func (h listeners) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }

func (h listeners) Closed(c *switchboard.Conn, _ error) { c.Value().(*room.Subscription).Leave() }

// allDrop tells whether more than so many messages were dropped for each member.
func allDrop(s *switchboard.Server, messages uint64) bool {
	var asked sync.WaitGroup // not a goroutine each, which the runtime would keep the memory of
	var not atomic.Bool
	for c := range s.Conns() {
		asked.Add(1)
		err := c.Do(func() {
			if c.Value().(*room.Subscription).Counts().Dropped <= messages {
				not.Store(true)
			}
			asked.Done()
		})
		if err != nil {
			asked.Done()
		}
	}
	asked.Wait()
	return !not.Load()
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
