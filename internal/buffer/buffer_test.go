package buffer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

func TestBufferHasRoomAndIsNotMuchLarger(t *testing.T) {
	for _, n := range []int{0, 1, Min - 1, Min, Min + 1, 4 * Min, 4*Min + 1, 16 * Min, 64*Min - 1, 256 * Min, 1<<20 - 1, 1 << 20,
		1<<20 + 1, 5 << 20} {
		b := Get(n)
		if len(b.B) != 0 || b.Next != nil || cap(b.B) < n {
			t.Errorf("Get(%d) has length %d, capacity %d", n, len(b.B), cap(b.B))
		}
		if most := max(Min, 2*n); cap(b.B) > most {
			t.Errorf("Get(%d) has capacity %d", n, cap(b.B))
		}
		Put(b)
	}
}

func TestWhatIsPutBackIsLentEmpty(t *testing.T) {
	for range 1000 {
		b := Get(100)
		if len(b.B) != 0 || b.Next != nil {
			t.Fatalf("lent with %d bytes and %v behind it", len(b.B), b.Next)
		}
		b.B = append(b.B, "left behind"...)
		b.Next = &Buffer{}
		Put(b)
	}
}

func TestAppendKeepsEveryByteAndThePlaceInAQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		var b *Buffer
		var want []byte
		next := &Buffer{}
		for range rng.IntN(200) {
			p := make([]byte, rng.IntN(1+rng.IntN(30_000)))
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
			b = Append(b, p)
			want = append(want, p...)
			if len(want) > 0 && b.Next == nil {
				b.Next = next
			}
		}
		if b == nil {
			continue
		}
		if !bytes.Equal(b.B, want) || len(want) > 0 && b.Next != next {
			t.Fatalf("%d bytes of %d", len(b.B), len(want))
		}
		Put(b)
	}
}

// A buffer that somebody has is nobody else's.
func TestNoBufferIsLentTwice(t *testing.T) {
	var wg sync.WaitGroup
	for g := range byte(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			var mine []*Buffer
			for range 300 {
				if len(mine) < 10 && rng.IntN(2) == 0 {
					b := Append(nil, bytes.Repeat([]byte{g}, 1+rng.IntN(5000)))
					mine = append(mine, b)
				} else if len(mine) > 0 {
					b := mine[0]
					mine = mine[1:]
					if len(bytes.Trim(b.B, string([]byte{g}))) > 0 {
						t.Errorf("somebody else wrote into a buffer")
						return
					}
					Put(b)
				}
			}
		})
	}
	wg.Wait()
}

func TestWhatNobodyBorrowsGoesToTheGarbageCollector(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var lent []*Buffer
	for range 200 {
		lent = append(lent, Get(64<<10))
	}
	for _, b := range lent {
		Put(b)
	}
	lent = nil
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 1<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
}

func BenchmarkGetPut(b *testing.B) {
	for _, n := range []int{64, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Put(Get(n))
			}
		})
	}
}
