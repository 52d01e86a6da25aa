//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// each runs a promise on every mechanism of the platform.
func each(t *testing.T, promise func(t *testing.T, s *Selector)) {
	for _, name := range Mechanisms() {
		t.Run(name, func(t *testing.T) {
			s, err := Open(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			promise(t, s)
		})
	}
}

func pipe(t *testing.T) (r, w int) {
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func TestSelectReportsWhatIsReady(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := pipe(t)
		if err := s.Register(r, Read, "reader"); err != nil {
			t.Fatal(err)
		}
		if ready, err := s.Select(time.Millisecond); len(ready) != 0 || err != nil {
			t.Fatalf("empty pipe: %v %v", ready, err)
		}
		unix.Write(w, []byte("x"))
		ready, err := s.Select(-1)
		if err != nil || len(ready) != 1 || ready[0] != (Ready{Key{r, Read, "reader"}, Read}) {
			t.Fatalf("got %v, %v", ready, err)
		}
	})
}
