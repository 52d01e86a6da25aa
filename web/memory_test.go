package web_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/web"
)

// What a collection costs is the whole program's: a program with a large heap has one only if it asks for it.
func TestMemoryIsFreedWhileItCostsLittle(t *testing.T) {
	for _, c := range []struct{ large, asks, frees bool }{
		{large: false, asks: false, frees: true},
		{large: true, asks: true, frees: true},
		{large: true, asks: false, frees: false},
	} {
		for _, s := range servers() {
			if s.loops == nil || s.park < 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s-large=%v-asks=%v", s.name, c.large, c.asks), func(t *testing.T) {
				leavesNothing(t)
				runtime.GC() // what another test has left may be large
				var others []byte
				if c.large {
					others = make([]byte, 128<<20)
				}
				s.frees = c.asks
				address := s.start(t, &http.Server{Handler: http.HandlerFunc(hello)})
				before := forcedCollections()
				for range 150 {
					dial(t, address).asks(get("/"), "hello")
				}
				if c.frees {
					eventually(t, "memory was freed", func() bool { return forcedCollections() > before })
				} else {
					time.Sleep(time.Second) // in which nothing may happen
					if n := forcedCollections(); n != before {
						t.Errorf("%d collections that nobody asked for", n-before)
					}
				}
				runtime.KeepAlive(others)
			})
		}
	}
}

func forcedCollections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumForcedGC
}

// A request under way counts for the memory limit of the loops, and not when its connection is idle again, another protocol's, or
// gone.
func TestRequestsUnderWayCountForTheMemoryLimit(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		const clients, least = 30, 30 * 16 << 10
		s.loops.MemoryLimit = 64 << 20
		arrived, release := make(chan bool, clients), make(chan bool)
		address := s.start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived <- true
			<-release
			if r.URL.Path != "/other" {
				return
			}
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				err = c.(web.Conn).Loop(nil, func(*switchboard.Conn) (switchboard.Handler, error) {
					return switchboard.DataFunc((*switchboard.Conn).Write), nil
				})
			}
			if err != nil {
				t.Error(err)
			}
		})})
		var all []*client
		for i := range clients {
			c := dial(t, address)
			c.says(get([]string{"/", "/other", "/gone"}[i%3]))
			all = append(all, c)
		}
		for range clients {
			next(t, arrived)
		}
		eventually(t, "all are counted", func() bool { return s.loops.Stats().Memory >= least })
		for i, c := range all {
			if i%3 == 2 {
				c.Close()
			}
		}
		close(release)
		for i, c := range all {
			switch i % 3 {
			case 0:
				c.hears("GET")
				if s.park < 0 { // net/http serves it while it is idle
					c.Close()
				}
			case 1:
				c.says("hello")
				io.ReadFull(c, make([]byte, 5))
			}
		}
		eventually(t, "none is counted", func() bool { return s.loops.Stats().Memory == 0 })
	})
}
