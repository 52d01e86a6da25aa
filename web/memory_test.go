package web_test

import (
	"net/http"
	"runtime"
	"testing"
	"time"
)

// What a collection costs is the whole program's, so only a program that asks for it has one.
func TestMemoryIsFreedOnlyOnDemand(t *testing.T) {
	for _, frees := range []bool{false, true} {
		for _, s := range servers() {
			if s.loops == nil || s.park < 0 {
				continue
			}
			t.Run(s.name+map[bool]string{true: "-frees"}[frees], func(t *testing.T) {
				leavesNothing(t)
				s.frees = frees
				address := s.start(t, &http.Server{Handler: http.HandlerFunc(hello)})
				before := forcedCollections()
				for range 150 {
					dial(t, address).asks(get("/"), "hello")
				}
				if frees {
					eventually(t, "memory was freed", func() bool { return forcedCollections() > before })
					return
				}
				time.Sleep(time.Second) // in which nothing may happen
				if n := forcedCollections(); n != before {
					t.Errorf("%d collections that nobody asked for", n-before)
				}
			})
		}
	}
}

func forcedCollections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumForcedGC
}
