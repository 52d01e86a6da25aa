package scenarios

import (
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// A pauser pauses its connection with each message, and goes on when it is told to.
type pauser struct{ paused chan *switchboard.Conn }

func (h pauser) Data(c *switchboard.Conn, p []byte) (int, error) {
	c.Pause()
	h.paused <- c
	return len(p), nil
}

func (pauser) Closed(*switchboard.Conn, error) {}

func TestStatsCountPauses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := pauser{make(chan *switchboard.Conn, 1)}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		for i := range int64(3) {
			p.says("!")
			c := next(t, h.paused)
			eventually(t, "the pause is counted", func() bool { return s.Stats().Pauses == i+1 })
			c.Do(c.Resume)
		}
	})
}

func TestStatsCountMessagesOfFrames(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		lines := make(chan string, 10)
		s.Accept = everyone(switchboard.Frames(frame.Lines(0).Split, func(_ *switchboard.Conn, m []byte) error {
			lines <- string(m)
			return nil
		}))
		call(t, start(t, s)).says("one\ntwo\nthree\nand a half")
		for _, want := range []string{"one", "two", "three"} {
			if got := next(t, lines); got != want {
				t.Fatalf("%q, and not %q", got, want)
			}
		}
		eventually(t, "three messages are counted", func() bool { return s.Stats().Messages == 3 })
	})
}

// A gibibyte is the most that a queue may hold, and more is refused.
func TestQueueLimitOfAGibibyte(t *testing.T) {
	s := newServer(t, engines()[0])
	s.QueueLimit = 1 << 30
	s.Accept = everyone(switchboard.Frames(frame.Lines(0).Split, func(*switchboard.Conn, []byte) error { return nil }))
	call(t, start(t, s))
	s = newServer(t, engines()[0])
	s.QueueLimit = 1<<30 + 1
	s.Accept = everyone(nil)
	if err := s.ListenAndServe("127.0.0.1:0"); err == nil {
		t.Error("more than a gibibyte is not refused")
	}
}
