//go:build linux

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestMain is one side of a library when a round starts it.
func TestMain(m *testing.M) {
	if len(os.Args) == 7 && os.Args[1] == "play" {
		fail(play(os.Args[2:]))
		return
	}
	os.Exit(m.Run())
}

func TestEveryLibraryMovesItsMessages(t *testing.T) {
	p := plan{rounds: 1, size: 64, messages: 20_000}
	r, err := p.measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range libraries {
		if len(r[i]) != 1 || r[i][0] <= 0 {
			t.Errorf("%s: %v", l.name, r[i])
		}
	}
}

func TestRatiosAreThoseOfTheSameRound(t *testing.T) {
	var out bytes.Buffer
	plan{rounds: 3, size: 64}.write(&out, result{{600, 100, 900}, {100, 50, 300}})
	for _, want := range []string{"switchboard: 600 (100 to 900)\n", "100 (50 to 300)\n", "switchboard to zmq4: × 3.0 (2.0 to 6.0)\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

func TestALibraryThatFailsFailsTheWhole(t *testing.T) {
	before := libraries
	t.Cleanup(func() { libraries = before })
	libraries = append([]library{{name: "none", pace: 1}}, before...)
	if _, err := (plan{rounds: 1, size: 64, messages: 1}).measure(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "none: ") {
		t.Error(err)
	}
}
