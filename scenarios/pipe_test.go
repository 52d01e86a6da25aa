package scenarios

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// joined returns the two peers of two accepted connections that a Pipe joins, on one loop or on two, and what their
// handlers are told at the end.
func joined(t *testing.T, s *switchboard.Server) (one, other peer, a, b *switchboard.Conn, ended chan error) {
	t.Helper()
	h := watch(func(c *switchboard.Conn, p []byte) (int, error) { return 0, nil })
	pair := accepted(s, h)
	address := start(t, s)
	one = call(t, address)
	a = next(t, pair)
	other = call(t, address)
	b = next(t, pair)
	onLoop(t, a, func() { switchboard.Pipe(a, b) })
	onLoop(t, b, func() {}) // where the other half of Pipe has run then
	return one, other, a, b, h.ended
}

// onOneLoopAndOnTwo runs a test of two connections.
func onOneLoopAndOnTwo(t *testing.T, promise func(t *testing.T, s *switchboard.Server)) {
	for loops, name := range []string{"", "on one loop", "on two loops"} {
		if loops > 0 {
			t.Run(name, func(t *testing.T) {
				onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
					s.Loops = loops
					promise(t, s)
				})
			})
		}
	}
}

func TestPipeJoinsTwoConnectionsBothWays(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		one, other, _, _, ended := joined(t, s)
		for range 3 {
			one.says("to the other")
			other.hears("to the other")
			other.says("and back")
			one.hears("and back")
		}
		one.endsOutput()
		other.hearsEnd("")
		other.says("last word")
		other.endsOutput()
		one.hearsEnd("last word")
		for range 2 {
			if err := next(t, ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// Enough comes at once for whatever a Pipe does with bulk, in both directions, and in pieces between.
func TestPipeCarriesBulkBothWaysUnchanged(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		one, other, _, _, ended := joined(t, s)
		var wg sync.WaitGroup
		for i, way := range [][2]peer{{one, other}, {other, one}} {
			all := noise(byte(20+i), 3_000_000)
			wg.Go(func() {
				for at := 0; at < len(all); {
					n := min(1+at/3, 1_000_000, len(all)-at)
					if _, err := io.WriteString(way[0], all[at:at+n]); err != nil {
						t.Error(err)
					}
					at += n
				}
				way[0].endsOutput()
			})
			wg.Go(func() {
				if got, err := io.ReadAll(way[1]); err != nil || string(got) != all {
					t.Errorf("%d bytes of %d, %v", len(got), len(all), err)
				}
			})
		}
		wg.Wait()
		for range 2 {
			if err := next(t, ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// A peer that does not read has the other stopped, while the other direction goes on.
func TestPipeHoldsLittleForWhoReadsSlowly(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		one, other, a, b, _ := joined(t, s)
		all := noise(22, 12_000_000)
		go func() {
			io.WriteString(one, all)
			one.endsOutput()
		}()
		eventually(t, "the queue is full", b.Full)
		before := a.Received()
		eventually(t, "nothing more is read", func() bool {
			last := before
			time.Sleep(5 * time.Millisecond)
			before = a.Received()
			return last == before
		})
		if n := b.Queued(); n > 512<<10 {
			t.Errorf("%d bytes are queued", n)
		}
		for range 3 {
			other.says("meanwhile")
			one.hears("meanwhile")
		}
		other.hearsEnd(all)
	})
}

func TestPipePassesOnThatOneSideFailed(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		one, other, _, _, ended := joined(t, s)
		one.says("last word")
		other.hears("last word")
		one.resets()
		other.hearsFailure("")
		other.Close()
		piped := 0
		for range 2 {
			if errors.Is(next(t, ended), switchboard.ErrPiped) {
				piped++
			}
		}
		if piped != 1 {
			t.Errorf("%d of two ended with ErrPiped", piped)
		}
	})
}

// What one peer said before it failed, the other still gets.
func TestPipeSendsWhatCameBeforeTheFailure(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		one, other, a, b, _ := joined(t, s)
		all := noise(23, 5_000_000)
		go io.WriteString(one, all)
		eventually(t, "the queue is full", b.Full)
		came := int(b.Sent()) + b.Queued()
		if s.TLSConfig != nil {
			came = 1 // these are bytes of records
		}
		a.Abort()
		got, err := io.ReadAll(other)
		if !systest.Is(err, syscall.ECONNRESET) || len(got) < came || string(got) != all[:len(got)] {
			t.Errorf("%d bytes of the %d that came before, %v", len(got), came, err)
		}
	})
}

// Close of one side is the end of both.
func TestPipeEndsWithEitherConnection(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		one, other, a, _, ended := joined(t, s)
		a.Close()
		one.hearsEnd("")
		one.Close()
		other.hearsEnd("")
		other.Close()
		next(t, ended)
		next(t, ended)
	})
}

// What is longer than the queue's limit goes through in pieces, and nothing is lost.
func TestPipePassesOnMoreThanAQueueHolds(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		s.ReadBuffer, s.InputLimit = 2<<20, 4<<20
		one, other, _, _, _ := joined(t, s)
		all := noise(31, 16_000_000)
		go func() {
			io.WriteString(one, all)
			one.endsOutput()
		}()
		other.hearsEnd(all)
	})
}

// Two that splice may be joined again: nothing is lost, and no kernel pipe is left behind.
func TestPipeAgainWhileItSplices(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops, s.ReadBuffer = 1, 4<<10
		one, other, a, b, _ := joined(t, s)
		before := 0
		onLoop(t, a, func() { before = openDescriptors() })
		size := 20_000_000
		if runtime.GOOS != "linux" {
			size = 2_000_000 // nothing is spliced, and so few bytes at a time take long enough
		}
		all := noise(33, size)
		go func() {
			io.WriteString(one, all)
			one.endsOutput()
		}()
		heard := make(chan string, 1)
		go func() {
			got, _ := io.ReadAll(other)
			heard <- string(got)
		}()
		for range 50 {
			onLoop(t, a, func() { switchboard.Pipe(a, b) })
			time.Sleep(time.Millisecond)
		}
		if n := openDescriptors(); n > before+10 {
			t.Errorf("%d descriptors are open, %d were", n, before)
		}
		if got := next(t, heard); got != all {
			t.Errorf("%d bytes of %d, or others", len(got), len(all))
		}
	})
}

// A proxied client that reads slowly but steadily is not idle, and neither is the target behind it.
func TestSlowReaderIsNotIdle(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		whileCalm(t, 700*time.Millisecond, func(span time.Duration, pace *pace) error {
			s := newServer(t, s.Engine)
			s.IdleTimeout = span
			one, other, _, _, ended := joined(t, s)
			size, step := 6_000_000, 50_000
			if runtime.GOOS != "linux" { // the server hears nothing of a reader before a good part of the kernel's buffer is free
				size, step = 2*size, 2*step
			}
			all := noise(34, size)
			go func() {
				io.WriteString(one, all) // fails if the server ends it
				one.Conn.(*net.TCPConn).CloseWrite()
			}()
			var got strings.Builder
			for p := make([]byte, step); ; time.Sleep(span / 45) {
				n, err := other.Read(p)
				pace.step()
				got.Write(p[:n])
				if err != nil {
					break
				}
			}
			if got.String() != all {
				return fmt.Errorf("%d bytes of %d: %w", got.Len(), len(all), next(t, ended))
			}
			return nil
		})
	})
}

// Each side's loop looks whether the other side's peer has taken something, while the other loop does the same. How these
// connections end depends on the machine: the race detector is what looks here.
func TestTwoLoopsLookAtBothSidesOfAPipe(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.IdleTimeout, s.WriteTimeout = 20*time.Millisecond, time.Hour
		one, other, a, b, ended := joined(t, s)
		for _, p := range []peer{one, other} {
			go io.Copy(p, zeros{}) // both queues are full, and both peers are asked what they have taken
		}
		p := make([]byte, 500_000)
		for began := time.Now(); time.Since(began) < 300*time.Millisecond && len(ended) == 0; time.Sleep(5 * time.Millisecond) {
			one.Read(p)
			other.Read(p)
		}
		a.Abort()
		b.Abort()
		next(t, ended)
		next(t, ended)
	})
}

// zeros is a stream without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// The client has sent everything and ended when Shutdown begins, and the target, which has ended before, takes it slowly: between
// two reads one of the two connections is idle, and neither may be closed for that.
func TestShutdownWaitsForWhatAPipeHasToPassOn(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		s.HighWater = 16 << 10
		const pairs = 8
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) { return 0, nil })
		pair := accepted(s, h)
		address := start(t, s)
		said := noise(5, 1500<<10)
		var clients, targets []peer
		for range pairs {
			one := call(t, address)
			a := next(t, pair)
			other := call(t, address)
			b := next(t, pair)
			onLoop(t, a, func() { switchboard.Pipe(a, b) })
			onLoop(t, b, func() {}) // where the other half of Pipe has run then
			other.endsOutput()
			one.hearsEnd("")
			clients, targets = append(clients, one), append(targets, other)
		}
		for _, c := range clients {
			c.says(said) // the systems have room for it
			c.endsOutput()
		}
		var all sync.WaitGroup
		for i := range pairs {
			all.Go(func() {
				got := make([]byte, 0, len(said)+1)
				for {
					n, err := targets[i].Read(got[len(got):min(cap(got), len(got)+32<<10)])
					got = got[:len(got)+n]
					if err != nil || n == 0 {
						if err != io.EOF || string(got) != said {
							t.Errorf("the target read %d of %d bytes, then %v", len(got), len(said), err)
						}
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		shutdown(t, s)
		all.Wait()
	})
}
