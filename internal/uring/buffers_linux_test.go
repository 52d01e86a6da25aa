package uring

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

var modes = map[string]struct {
	mode Consumption
	need Feature
}{
	"whole":       {Whole, BufferRing},
	"incremental": {Incremental, IncrementalBuffers},
	"bundles":     {Bundles, RecvBundle},
}

// Whatever the cuts, and however few the buffers, the bytes are those that were sent, in order. Pieces are released one
// pass late, so that the buffers run dry.
func TestReceivedBytesAreThoseSent(t *testing.T) {
	for name, m := range modes {
		for _, shape := range []struct{ count, size int }{{1, 1}, {1, 4096}, {2, 100}, {16, 64}, {8, 1 << 16}} {
			t.Run(fmt.Sprintf("%s/%dx%d", name, shape.count, shape.size), func(t *testing.T) {
				r := newRing(t, Config{Flags: deferred}, m.need, MultishotRecv)
				b, err := r.NewBuffers(3, shape.count, shape.size, m.mode)
				if err != nil {
					t.Fatal(err)
				}
				fd, peer := pair(t)
				sent := make([]byte, 200*shape.size+rand.IntN(1000))
				if len(sent) > 1<<20 {
					sent = sent[:1<<20]
				}
				for i := range sent {
					sent[i] = byte(i*7 + i/251)
				}
				go func() {
					for p := sent; len(p) > 0; {
						n, err := peer.Write(p[:min(len(p), 1+rand.IntN(2*shape.size))])
						if err != nil {
							return
						}
						p = p[n:]
					}
					peer.Close()
				}()
				var got []byte
				var held []CQE
				r.Next().RecvMultishot(fd, b, 1)
				for over := false; !over; {
					again := false
					for _, c := range await(t, r, 1) {
						for p := range b.Received(c) {
							got = append(got, p...)
						}
						held = append(held, c)
						if !c.More() {
							over = c.Res == 0
							again = !over
						}
						if err := c.Err(); err != nil && err != unix.ENOBUFS {
							t.Fatal(err)
						}
					}
					if again {
						for _, c := range held {
							b.Release(c)
						}
						held = held[:0]
						r.Next().RecvMultishot(fd, b, 1)
					}
				}
				if !bytes.Equal(got, sent) {
					t.Fatalf("%d bytes came of %d, or others", len(got), len(sent))
				}
			})
		}
	}
}

func TestBytesStandUntilReleased(t *testing.T) {
	for _, name := range []string{"whole", "incremental"} {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Flags: deferred}, modes[name].need, MultishotRecv)
			b, err := r.NewBuffers(0, 2, 8, modes[name].mode)
			if err != nil {
				t.Fatal(err)
			}
			fd, peer := pair(t)
			r.Next().RecvMultishot(fd, b, 1)
			if err := r.Submit(); err != nil {
				t.Fatal(err)
			}
			var held []CQE
			var pieces [][]byte
			ended := false
			for i := 0; !ended; i++ {
				fmt.Fprintf(peer, "%04d", i)
				for _, c := range await(t, r, 1) {
					if p := b.Bytes(c); p != nil {
						held, pieces = append(held, c), append(pieces, p)
					}
					ended = c.Err() == unix.ENOBUFS
				}
				if i > 10 {
					t.Fatal("two buffers of 8 bytes hold more than 10 pieces of 4")
				}
			}
			want := map[string]int{"whole": 2, "incremental": 4}[name]
			if len(pieces) != want {
				t.Fatalf("%d pieces until the buffers ran dry, want %d", len(pieces), want)
			}
			for i, p := range pieces {
				if string(p) != fmt.Sprintf("%04d", i) {
					t.Fatalf("piece %d reads %q", i, p)
				}
				b.Release(held[i])
			}
			// What did not fit was not lost: it waits in the socket.
			r.Next().RecvMultishot(fd, b, 1)
			if c := await(t, r, 1)[0]; string(b.Bytes(c)) != fmt.Sprintf("%04d", want) {
				t.Fatalf("after the refill: %+v", c)
			}
		})
	}
}

func TestIdleConnectionsHoldNoBuffer(t *testing.T) {
	r := newRing(t, Config{Flags: deferred}, MultishotRecv)
	b, err := r.NewBuffers(0, 1, 64, Whole)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100
	fds := make([]int, n)
	for i := range fds {
		fds[i], _ = pair(t)
		r.Next().RecvMultishot(fds[i], b, uint64(i))
	}
	fd, peer := pair(t)
	r.Next().RecvMultishot(fd, b, n)
	if err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	peer.Write([]byte("x"))
	if c := await(t, r, 1)[0]; c.UserData != n || string(b.Bytes(c)) != "x" {
		t.Fatalf("%+v", c)
	}
}

func TestImpossibleBuffersAreRefused(t *testing.T) {
	r := newRing(t, Config{}, BufferRing)
	for _, s := range []struct{ count, size int }{{0, 1}, {3, 1}, {1 << 16, 1}, {1, 0}, {-1, 1}, {1, -1}, {1, 1<<30 + 1}} {
		if _, err := r.NewBuffers(0, s.count, s.size, Whole); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
	if _, err := r.NewBuffers(0, 1, 1, Whole); err != nil {
		t.Fatal(err)
	}
	if _, err := r.NewBuffers(0, 1, 1, Whole); err == nil {
		t.Error("the same group twice: no error")
	}
}

// BenchmarkEcho is the room's own cost of a message: received by a multishot, sent without a completion, through a
// socketpair whose other end is in the same thread.
func BenchmarkEcho(b *testing.B) {
	r := newRing(b, Config{Flags: deferred}, IncrementalBuffers, DeferTaskrun, SkipSuccess)
	bufs, err := r.NewBuffers(0, 8, 1<<16, Incremental)
	if err != nil {
		b.Fatal(err)
	}
	fd, peer := pair(b)
	other := int(peer.Fd())
	unix.SetNonblock(other, true)
	out := mapped(b, make([]byte, 64))
	in := make([]byte, 64)
	r.Next().RecvMultishot(fd, bufs, 1)
	b.ReportAllocs()
	for b.Loop() {
		unix.Write(other, in)
		for replied := false; !replied; {
			if err := r.Submit(); err != nil {
				b.Fatal(err)
			}
			for c := range r.Completions {
				n := copy(out, bufs.Bytes(c))
				bufs.Release(c)
				e := r.Next()
				e.Send(fd, out[:n], unix.MSG_DONTWAIT|unix.MSG_WAITALL, 2)
				e.Quiet()
				replied = true
			}
		}
		if err := r.Submit(); err != nil {
			b.Fatal(err)
		}
		if n, err := unix.Read(other, in); n != 64 {
			b.Fatal(n, err)
		}
	}
}
