package scenarios

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// A pace is how prompt a test's peers are.
type pace struct {
	last    time.Time
	longest time.Duration
}

// step is called whenever a peer has done what a timeout of the server's waits for.
func (p *pace) step() {
	now := time.Now()
	p.longest, p.last = max(p.longest, now.Sub(p.last)), now
}

// whileCalm plays something with peers that must be prompt, as a timeout is not to end them: span is that timeout. If it fails
// where the machine let half a span pass between two steps, that proves nothing: it is played again with twice the span.
func whileCalm(t *testing.T, span time.Duration, play func(span time.Duration, p *pace) error) {
	t.Helper()
	for ; ; span *= 2 {
		p := &pace{last: time.Now()}
		err := play(span, p)
		p.step()
		switch {
		case err == nil:
			return
		case p.longest < span/2:
			t.Fatalf("%v; all was done within %v, and the timeout is %v", err, p.longest, span)
		case span > 10*time.Second:
			t.Skipf("this machine stood still for %v", p.longest)
		}
	}
}

// attempt says something and reads an answer, which must be want.
func attempt(p peer, say, want string) error {
	if _, err := io.WriteString(p, say); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p, got); err != nil || string(got) != want {
		return fmt.Errorf("heard %q, %v; want %q", got[:n], err, want)
	}
	return nil
}
