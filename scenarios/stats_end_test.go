package scenarios

import (
	"testing"

	"github.com/switchboard-go/switchboard"
)

// What the last turn of a loop has done is in the figures too: the connections that Close aborted in it, and what they held.
func TestStatsAreCompleteAfterTheEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		const clients = 10
		s.MemoryLimit = 256 << 20
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) { return 0, nil })
		pair := accepted(s, h)
		address := start(t, s)
		for range clients {
			p := call(t, address)
			next(t, pair)
			p.says("kept")
		}
		eventually(t, "the input is kept", func() bool { return s.Stats().Messages == clients })
		for c := range s.Conns() {
			c.Do(func() { c.CountMemory(1 << 10) })
		}
		s.Close()
		for range clients {
			next(t, h.ended)
		}
		shutdown(t, s)
		st := s.Stats()
		if st.Ends.Aborted != clients || st.Active+st.Queued+st.Waiting+st.Memory != 0 {
			t.Errorf("%+v", st)
		}
	})
}
