package zmtp

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// Strangers cannot fill a log, and those that it does not tell of are counted.
func TestWarningsAreLimited(t *testing.T) {
	var log bytes.Buffer
	s, err := new(Context).NewSocket(PULL, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := Event{Kind: HandshakeFailed, Err: protocolErrorf("the peer does not speak ZMTP")}
	for range mostWarnings + 30 {
		s.warn(e)
	}
	if n := strings.Count(log.String(), "\n"); n != mostWarnings {
		t.Errorf("%d lines", n)
	}
	log.Reset()
	s.born = s.born.Add(-warningsPeriod - 1)
	s.warn(e)
	s.warn(e)
	lines := strings.Split(log.String(), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "others=30") || strings.Contains(lines[1], "others") {
		t.Errorf("%q", lines)
	}
}
