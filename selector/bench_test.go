//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSelect is one Select that finds what is ready, among many registered: the table in the package's
// documentation. A "tenth" is of the registered descriptors.
func BenchmarkSelect(b *testing.B) {
	for _, registered := range []int{10, 100, 1000, 10000} {
		for _, active := range []struct {
			name string
			n    int
		}{{"one", 1}, {"tenth", registered / 10}} {
			for _, mechanism := range Mechanisms() {
				b.Run(fmt.Sprintf("registered=%d/active=%s/%s", registered, active.name, mechanism), func(b *testing.B) {
					benchmarkSelect(b, mechanism, registered, active.n)
				})
			}
		}
	}
}

func benchmarkSelect(b *testing.B, mechanism string, registered, active int) {
	s := opened(b, mechanism)
	fds := many(b, registered)
	for i, fd := range fds {
		register(b, s, fd, Read, i)
	}
	for i := range active {
		fd := fds[i*registered/active]
		must(b, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		own, err := unix.Getsockname(fd)
		must(b, err)
		must(b, unix.Sendto(fd, []byte("x"), 0, own)) // and never read
	}
	b.ReportAllocs()
	for b.Loop() {
		for found := 0; found < active; {
			ready, err := s.Select(-1)
			if err != nil {
				b.Fatal(err)
			}
			found += len(ready)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(active), "ns/event")
}

func BenchmarkRegisterUnregister(b *testing.B) {
	benchmarkDrop(b, (*Selector).Unregister)
}

// The close that Forget is meant for is not part of it.
func BenchmarkRegisterForget(b *testing.B) {
	benchmarkDrop(b, (*Selector).Forget)
}

func benchmarkDrop(b *testing.B, drop func(*Selector, int) (Key, error)) {
	for _, mechanism := range Mechanisms() {
		b.Run(mechanism, func(b *testing.B) {
			s := opened(b, mechanism)
			r, _ := ownedPipe(b)
			b.ReportAllocs()
			for b.Loop() {
				if s.Register(r, Read, s) != nil {
					b.Fatal("register")
				}
				drop(s, r)
			}
		})
	}
}

func BenchmarkWake(b *testing.B) {
	for _, mechanism := range Mechanisms() {
		b.Run(mechanism+"/nobody waits", func(b *testing.B) {
			s := opened(b, mechanism)
			b.ReportAllocs()
			for b.Loop() {
				s.Wake()
				s.Select(-1)
			}
		})
		b.Run(mechanism+"/there and back", func(b *testing.B) {
			s, other := opened(b, mechanism), opened(b, mechanism)
			go func() {
				for {
					if _, err := s.Select(-1); err != nil {
						return
					}
					other.Wake()
				}
			}()
			b.ReportAllocs()
			for b.Loop() {
				s.Wake()
				other.Select(-1)
			}
		})
	}
}
