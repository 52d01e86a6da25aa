package selector

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

func TestListsReturnWhatIsReadyInTheirOrder(t *testing.T) {
	a, b := pair(t)
	owned(t, a, b)
	quiet, _ := ownedPipe(t)
	r, w := ownedPipe(t)
	write(t, w, "x")
	write(t, a, "x")
	for _, reads := range [][]int{{r, quiet, b, a}, {a, b, quiet, r}, {b, b, r}} {
		got, writable, except, err := Select(reads, []int{w, b}, []int{a, r}, -1)
		must(t, err)
		want := slices.DeleteFunc(slices.Clone(reads), func(fd int) bool { return fd == quiet || fd == a })
		if !slices.Equal(got, want) || !slices.Equal(writable, []int{w, b}) || len(except) != 0 {
			t.Errorf("Select(%v) = %v, %v, %v", reads, got, writable, except)
		}
	}
}

func TestListsNameTheBadDescriptor(t *testing.T) {
	r, w := ownedPipe(t)
	bad, w2 := pipe(t)
	testsocket.Close(w2)
	testsocket.Close(bad)
	write(t, w, "x") // one that is ready does not hide the bad one
	for _, c := range []struct {
		lists [3][]int
		fd    int
		list  string
	}{
		{[3][]int{{r, bad}, {w}}, bad, "read"},
		{[3][]int{{r}, {bad, w}}, bad, "write"},
		{[3][]int{{r}, {w}, {bad}}, bad, "except"},
		{[3][]int{{r}, {bad}, {bad}}, bad, "write"},
		{[3][]int{{-1, r}, {bad}}, -1, "read"},
		{[3][]int{nil, {math.MaxInt}}, math.MaxInt, "write"},
		{[3][]int{nil, nil, {1 << 30}}, 1 << 30, "except"},
	} {
		for _, timeout := range []time.Duration{-1, 0, time.Hour} {
			_, _, _, err := Select(c.lists[0], c.lists[1], c.lists[2], timeout)
			var named *BadFDError
			if !errors.As(err, &named) || named.FD != c.fd || named.List != c.list || !errors.Is(err, syscall.EBADF) {
				t.Errorf("Select(%v) = %v, want %d in %s", c.lists, err, c.fd, c.list)
			}
		}
	}
	err := error(&BadFDError{7, "read"})
	if got := err.Error(); got != "select: descriptor 7 in the read list is not open" {
		t.Errorf("%q", got)
	}
}

func TestListsWaitAsLongAsTheyAreTold(t *testing.T) {
	r, w := ownedPipe(t)
	for _, timeout := range []time.Duration{0, 1, 3*time.Millisecond + 1} {
		began := time.Now()
		if got, _, _, err := Select([]int{r}, nil, nil, timeout); len(got) != 0 || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
		if took := time.Since(began); took < timeout {
			t.Errorf("Select(%v) took %v", timeout, took)
		}
	}
	if _, _, _, err := Select(nil, nil, nil, time.Millisecond); err != nil { // how C programs used to sleep
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		if got, _, _, err := Select([]int{r}, nil, nil, -1); !slices.Equal(got, []int{r}) || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
	write(t, w, "x")
	group.Wait()
}

func TestListsSeeUrgentData(t *testing.T) {
	client, server := tcp(t)
	owned(t, client, server)
	must(t, testsocket.SendUrgent(client, '!'))
	_, _, except, err := Select(nil, nil, []int{client, server}, -1)
	if err != nil || !slices.Equal(except, []int{server}) {
		t.Errorf("%v, %v", except, err)
	}
}

func TestNumbersAbove1024(t *testing.T) {
	fds := many(t, 3000)
	each(t, func(t *testing.T, s *Selector) {
		if s.Mechanism() == "select" && fds[len(fds)-1] > highestForSelect {
			if err := s.Register(fds[len(fds)-1], Write, nil); err == nil || !strings.Contains(err.Error(), "1023") {
				t.Errorf("above the limit: %v", err)
			}
			t.Skip("select(2) of this platform ends at 1023")
		}
		for _, fd := range fds {
			register(t, s, fd, Read, nil)
		}
		high := fds[len(fds)-1]
		must(t, s.Modify(high, Read|Write, "high"))
		must(t, s.Modify(fds[5], Write, "low"))
		selects(t, s, -1, Ready{Key{high, Read | Write, "high"}, Write}, Ready{Key{fds[5], Write, "low"}, Write})
		for _, fd := range fds {
			must(t, s.Modify(fd, Write, nil))
		}
		ready, err := s.Select(0)
		must(t, err)
		if len(ready) < len(fds) {
			t.Errorf("%d of %d were reported", len(ready), len(fds))
		}
		for _, fd := range fds {
			_, err := s.Unregister(fd)
			must(t, err)
		}
		selects(t, s, 0)
	})
}
