// Package testtalk has clients of a room talk, and checks that everything comes once, to everybody, and in order.
package testtalk

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// A Talker is a client of a room: what it says ends up with all others.
type Talker struct {
	Say   func(text string) error
	Heard chan string // closed at the end
	End   func()
}

// Lines talks in lines.
func Lines(c net.Conn) *Talker {
	k := &Talker{Heard: make(chan string, 1000), End: func() { c.Close() }}
	k.Say = func(text string) error {
		_, err := io.WriteString(c, text+"\n")
		return err
	}
	go func() {
		defer close(k.Heard)
		for in := bufio.NewScanner(c); in.Scan(); {
			k.Heard <- in.Text()
		}
	}()
	return k
}

// While has everybody say one thing after the other, each when all others have heard the one before, while do runs. Everything is
// checked: that it comes once, to everybody, and in order. read returns what was said, out of what a client hears; ok is false for
// anything else.
func While(t *testing.T, all []*Talker, read func(heard string) (text string, ok bool), do func()) (said int) {
	t.Helper()
	stop, over := make(chan struct{}), make(chan struct{})
	confirmed := make([]chan int, len(all)) // who has heard it
	for i := range all {
		confirmed[i] = make(chan int, len(all))
	}
	var listening, talking sync.WaitGroup
	for i, k := range all {
		listening.Go(func() {
			next := make([]int, len(all))
			for {
				select {
				case <-over:
					return
				case heard, ok := <-k.Heard:
					if !ok {
						t.Errorf("the connection of %d is over", i)
						return
					}
					text, ok := read(heard)
					if !ok {
						continue
					}
					var from, n int
					if _, err := fmt.Sscanf(text, "%d says %d", &from, &n); err != nil || from < 0 || from >= len(all) || from == i || n != next[from] {
						t.Errorf("%d heard %q", i, heard)
						return
					}
					next[from]++
					confirmed[from] <- i
				}
			}
		})
	}
	counts := make([]int, len(all))
	for i, k := range all {
		talking.Go(func() {
			for !t.Failed() {
				select {
				case <-stop:
					return
				default:
				}
				if err := k.Say(fmt.Sprintf("%d says %d", i, counts[i])); err != nil {
					t.Errorf("%d: %v", i, err)
					return
				}
				for range len(all) - 1 {
					select {
					case <-confirmed[i]:
					case <-t.Context().Done():
						return
					case <-time.After(patience):
						t.Errorf("not everybody has heard what %d says", i)
						return
					}
				}
				counts[i]++
			}
		})
	}
	do()
	close(stop)
	talking.Wait()
	close(over)
	listening.Wait()
	for _, n := range counts {
		said += n
	}
	return said
}

// InRoom asks whether all hear what is said.
func InRoom(all []*Talker) bool {
	if all[0].Say("?") != nil {
		return false
	}
	for _, k := range all[1:] {
		select {
		case <-k.Heard:
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}
	return true
}
