package selector

import (
	"slices"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// Winsock does not hear of a socket whose handle is closed by CloseHandle, and may refuse a whole list for it.
func TestOneBadSocketDoesNotSpoilTheList(t *testing.T) {
	r, w := ownedPipe(t)
	write(t, w, "x")
	settle(t, r, pollIn)
	bad := testsocket.Datagram(t)
	must(t, windows.CloseHandle(windows.Handle(bad)))
	defer testsocket.Close(bad) // so that Winsock hears of it after all
	fds := []pollFD{newPollFD(r, pollIn), newPollFD(bad, pollIn), newPollFD(w, pollOut)}
	n, err := pollFor(fds, -1)
	var got []int16
	for _, p := range fds {
		got = append(got, p.Revents)
	}
	if n != 3 || err != nil || !slices.Equal(got, []int16{pollIn, pollNval, pollOut}) {
		t.Errorf("%d, %v, %#x", n, err, got)
	}
}
