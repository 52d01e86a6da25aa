package web_test

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"
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
