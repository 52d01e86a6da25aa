package selector

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

func TestRegistrationTakesLittleMemory(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > 24 {
		t.Errorf("an entry takes %d bytes", size)
	}
}

func TestTableHoldsWhatAMapHolds(t *testing.T) {
	var keys table
	want := map[int]entry{}
	random := rand.New(rand.NewPCG(1, 2))
	for stamp := uint64(1); stamp < 20000; stamp++ {
		fd := random.IntN(1 << random.IntN(20))
		if _, is := want[fd]; is && random.IntN(2) == 0 {
			keys.clear(fd)
			delete(want, fd)
		} else {
			ev := 1 + Events(random.IntN(7))
			keys.set(fd, ev, stamp, stamp)
			want[fd] = entry{stamp, stamp<<bitsOfEvents | uint64(ev)}
			if e := keys.at(fd); e == nil || e.events() != ev || e.stamp() != stamp || e.data != stamp {
				t.Fatalf("at(%d) = %v after set(%v, %d)", fd, e, ev, stamp)
			}
		}
		if keys.len != len(want) {
			t.Fatalf("len %d, want %d", keys.len, len(want))
		}
	}
	var fds []int
	for fd := keys.next(0); fd >= 0; fd = keys.next(fd + 1) {
		fds = append(fds, fd)
		if *keys.at(fd) != want[fd] {
			t.Errorf("at(%d) = %v, want %v", fd, *keys.at(fd), want[fd])
		}
		delete(want, fd)
	}
	if len(want) > 0 || !slices.IsSorted(fds) {
		t.Errorf("next missed %v, or went back: %v", want, fds)
	}
	for _, fd := range []int{-1, math.MaxInt} {
		if keys.at(fd) != nil {
			t.Errorf("at(%d) has an entry", fd)
		}
	}
}

func TestEntriesStayWhereTheyAre(t *testing.T) {
	var keys table
	keys.set(3, Read, nil, 1)
	first := keys.at(3)
	for fd := range 100 * pageSize {
		keys.set(fd+4, Read, nil, 2)
	}
	if keys.at(3) != first {
		t.Error("growing moved an entry")
	}
}
