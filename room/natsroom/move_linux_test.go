package natsroom_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

// bridged returns a hub with a bridge that is connected, unless it cannot be.
func bridged(t *testing.T, name, url string) *room.Hub {
	t.Helper()
	connected := make(chan bool)
	b, err := natsroom.Connect(url, natsroom.Options{Name: name, Repeat: 50 * time.Millisecond, Logger: quiet},
		nats.ConnectHandler(func(*nats.Conn) { close(connected) }), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	select {
	case <-connected:
	case <-time.After(100 * time.Millisecond): // a wire is cut
	}
	return &room.Hub{Bridge: b, Logger: quiet, Options: room.Options{Queue: 1 << 20}}
}

// moves has another hub take over the rooms of a hub, or fail to.
func moves(t *testing.T, from, to *room.Hub, fails bool) {
	t.Helper()
	state, file, err := from.Hand(&switchboard.Server{})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Take(state, file); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup // they are two processes
	both.Go(func() { to.Taken(!fails) })
	both.Go(func() { from.Handed(!fails) })
	both.Wait()
}

// A room moves to another process, or is about to, while a third process publishes. Somebody who stays in the first process hears of every
// message once: as a message, or among those that are told to be missed.
func TestNothingIsMissedUncountedWhenARoomMoves(t *testing.T) {
	t.Parallel()
	nats := startNATS(t, "one", server.RANDOM_PORT)
	other := startProcess(t, "other", nats.ClientURL())
	total := 0
	for round := range 6 {
		first := bridged(t, "first", nats.ClientURL())
		stays := sits(t, first, fmt.Sprint("stays-", round))
		acquaint(t, stays, other)
		stays.forgetsUntil(other)
		other.said = 0
		stop := make(chan bool)
		var talking sync.WaitGroup
		talking.Go(func() {
			for {
				other.says(1)
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Microsecond):
				}
			}
		})
		begun := func() {
			t.Helper()
			before, _ := stays.ear.heard()
			until(t, "nothing is heard", func() bool {
				now, _ := stays.ear.heard()
				return len(now) >= len(before)+10
			})
		}
		begun()
		if round%3 == 0 {
			moves(t, first, bridged(t, "fails", nats.ClientURL()), true)
			begun()
		}
		next := bridged(t, "next", nats.ClientURL())
		moves(t, first, next, false)
		begun()
		late := sits(t, next, "late")
		begun()
		close(stop)
		talking.Wait()
		total += stays.knows(other)
		until(t, "who came to the new process does not hear the last", func() bool {
			lines, _ := late.ear.heard()
			return len(lines) > 0 && strings.HasSuffix(lines[len(lines)-1], fmt.Sprint(" ", other.said))
		})
	}
	t.Logf("%d were missed", total)
}

// The new process reaches NATS late: what it has missed meanwhile is told.
func TestWhatIsMissedWhenARoomMovesIsTold(t *testing.T) {
	t.Parallel()
	s := startNATS(t, "one", server.RANDOM_PORT)
	w := newWire(t, s.Addr().String())
	w.set(true)
	nc, err := nats.Connect(s.ClientURL(), nats.NoEcho())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	b, err := natsroom.New(nc, natsroom.Options{Name: "other", Repeat: 50 * time.Millisecond, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	other, first := sits(t, &room.Hub{Bridge: b, Logger: quiet}, "other"), bridged(t, "first", s.ClientURL())
	stays := sits(t, first, "stays")
	acquaint(t, stays, other)
	stays.forgetsUntil(other)
	other.said = 0
	other.says(10)
	stays.knows(other)
	moves(t, first, bridged(t, "next", "nats://"+w.l.Addr().String()), false)
	other.says(7)
	if err := nc.FlushTimeout(patience); err != nil { // NATS has it before the wire is mended
		t.Fatal(err)
	}
	w.set(false)
	if n := stays.knows(other); n != 7 {
		t.Errorf("%d are told to be missed, not 7", n)
	}
	other.says(3)
	stays.knows(other)
}
