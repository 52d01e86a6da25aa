package selector

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// A mechanism is one system call that waits for many descriptors. The Selector has checked the arguments and keeps the
// registrations; a mechanism keeps what its call needs. All but ask, wait and wake run under Selector.mu.
type mechanism interface {
	name() string
	// live tells whether a change of the registrations reaches a wait that is under way.
	live() bool
	add(fd int, ev Events, stamp uint64) error
	modify(fd int, old, ev Events, stamp uint64) error
	// remove ends the waiting for fd, which may be closed already; closing says that it is about to be.
	remove(fd int, ev Events, closing bool)
	// prepare comes before each ask or wait.
	prepare()
	// ask looks and does not wait.
	ask() error
	// wait looks at least once, and waits until something is ready, wake is called, or the deadline, if it is not zero.
	// It may return for nothing, as after a signal, and before the deadline if the call cannot express so long a time.
	wait(deadline time.Time) error
	// take hands what ask or wait has found to Selector.found.
	take(s *Selector)
	// wake ends a wait that is under way, or the next one.
	wake() error
	close() error
}

// until is how long wait may wait: negative without end, zero not at all, and a day at most, which every call can express.
func until(deadline time.Time) time.Duration {
	if deadline.IsZero() {
		return -1
	}
	return min(max(time.Until(deadline), 0), 24*time.Hour)
}

// New makes a Selector on the best mechanism of the platform: epoll on Linux, kqueue on macOS and the BSDs, afd on
// Windows.
func New() (*Selector, error) { return Open("auto") }

// Open makes a Selector on the mechanism with a name: "epoll", "kqueue", "afd", "poll", "select", or "auto" for the
// best one. If this platform does not have it, the error wraps errors.ErrUnsupported.
func Open(mechanism string) (*Selector, error) {
	if mechanism == "auto" {
		if !hasPoll {
			return nil, lacking("selector")
		}
		mechanism = Mechanisms()[0]
	}
	switch mechanism {
	case "epoll":
		return NewEpoll()
	case "kqueue":
		return NewKqueue()
	case "afd":
		return NewAFD()
	case "poll":
		return NewPoll()
	case "select":
		return NewSelect()
	}
	return nil, fmt.Errorf("selector %q: no such mechanism; there are auto, epoll, kqueue, afd, poll and select", mechanism)
}

// Mechanisms returns the names of the mechanisms of this platform, the best one first. It is empty if there is none.
func Mechanisms() []string {
	var names []string
	for _, m := range [...]struct {
		name string
		here bool
	}{{"epoll", hasEpoll}, {"kqueue", hasKqueue}, {"afd", hasAFD}, {"poll", hasPoll}, {"select", hasSelect}} {
		if m.here {
			names = append(names, m.name)
		}
	}
	return names
}

// checkHangup refuses Hangup where the mechanism cannot tell of it.
func checkHangup(mechanism string, ev Events, can bool) error {
	if ev&Hangup == 0 || can {
		return nil
	}
	return fmt.Errorf("%s on %s tells nothing of Hangup, use %s: %w", mechanism, runtime.GOOS, Mechanisms()[0], errors.ErrUnsupported)
}

func lacking(mechanism string) error {
	here := strings.Join(Mechanisms(), ", ")
	if here == "" {
		here = "none"
	}
	return fmt.Errorf("%s on %s: %w (here: %s)", mechanism, runtime.GOOS, errors.ErrUnsupported, here)
}
