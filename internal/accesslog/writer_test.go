package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 60 * time.Second

func TestLinesComeWholeAndInOrder(t *testing.T) {
	var out bytes.Buffer
	w := New(&out, func(lost int, err error) { t.Errorf("%d lines are lost: %v", lost, err) })
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := range 500 {
				fmt.Fprintf(w, "%d %d\n", i, n)
			}
		})
	}
	wait.Wait()
	w.Close(patience)
	next := [8]int{}
	for line := range strings.Lines(out.String()) {
		var i, n int
		if _, err := fmt.Sscanf(line, "%d %d\n", &i, &n); err != nil || n != next[i] {
			t.Fatalf("%q, and %d is next: %v", line, next[i], err)
		}
		next[i]++
	}
	if next != [8]int{500, 500, 500, 500, 500, 500, 500, 500} {
		t.Errorf("%v", next)
	}
}

// stuck is a reader that reads nothing until it is let.
type stuck struct {
	let   chan struct{}
	bytes int
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.let
	s.bytes += len(p)
	return len(p), nil
}

func TestWhoReadsNothingStopsNobody(t *testing.T) {
	out := &stuck{let: make(chan struct{})}
	told := make(chan int, 10)
	w := New(out, func(lost int, err error) {
		if err != nil {
			t.Error(err)
		}
		told <- lost
	})
	line := []byte(strings.Repeat("x", 1023) + "\n")
	const lines = 5 << 10
	for range lines {
		w.Write(line)
	}
	w.Close(0) // does not wait for it either: none has been read by then
	close(out.let)
	w.Close(patience)
	w.Write(line) // comes too late
	lost := 0
	for more := true; more; {
		select {
		case n := <-told:
			lost += n
		default:
			more = false
		}
	}
	if got := out.bytes / len(line); lost != lines || got > mostWaiting/len(line)+1 {
		t.Errorf("%d lines are told of as lost of %d, and then %d are read", lost, lines, got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestLinesThatCannotBeWrittenAreToldOf(t *testing.T) {
	told := make(chan string, 10)
	w := New(full{}, func(lost int, err error) { told <- fmt.Sprint(lost, " ", err) })
	w.Write([]byte("one\n"))
	select {
	case got := <-told:
		if got != "1 the disk is full" {
			t.Error(got)
		}
	case <-time.After(patience):
		t.Fatal("nobody is told")
	}
	for range 3 {
		w.Write([]byte("more\n"))
	}
	w.Close(patience)
	if got := <-told; got != "3 the disk is full" {
		t.Error(got)
	}
}

// small is a disk that has room for some bytes.
type small struct {
	room int
	has  []byte
}

func (s *small) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.has, s.room = append(s.has, p[:n]...), s.room-n
	if n < len(p) {
		return n, errors.New("the disk is full")
	}
	return n, nil
}

// A line of which a part fits is written to its end before any other, once there is room, and only what is not written is lost.
func TestALineThatIsCutIsWrittenToItsEnd(t *testing.T) {
	const line = "0123456\n"
	for room := range 3*len(line) + 1 {
		lost := 0
		out := &small{room: room}
		w := &Writer{out: out, tell: func(n int, err error) { lost += n }} // without its goroutine: in the order that is written here
		w.Write([]byte(strings.Repeat(line, 3)))
		w.pass(nil, true)
		w.Write([]byte(line)) // nothing fits
		w.pass(nil, true)
		out.room = 1000
		w.Write([]byte(line + line))
		w.pass(nil, true)
		w.pass(nil, false)
		got := strings.Count(string(out.has), "\n")
		if string(out.has) != strings.Repeat(line, got) || got+lost != 6 {
			t.Errorf("with room for %d bytes: %q, and %d are told of as lost", room, out.has, lost)
		}
	}
}

func TestOneInSoManyIsTaken(t *testing.T) {
	for every, want := range map[int]int{-1: 100, 0: 100, 1: 100, 3: 34, 10: 10, 1000: 1} {
		s, taken := Sample(every), 0
		for range 100 {
			if s.Take() {
				taken++
			}
		}
		if taken != want {
			t.Errorf("of one in %d: %d of 100", every, taken)
		}
	}
}
