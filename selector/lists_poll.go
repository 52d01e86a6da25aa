//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows

package selector

import (
	"cmp"
	"math"
	"os"
	"slices"
	"time"
)

// Select waits until a descriptor of the lists is ready to read, ready to write, or in an exceptional condition
// (urgent data): select(2). It returns the ready ones in the order of the lists, and empty lists after the timeout. A
// negative timeout means no limit. 0 means that Select does not wait. Other timeouts are rounded up to milliseconds.
//
// A descriptor may be in several lists. Its number may be of any size. Any goroutine may call Select; while it waits
// it holds no processor (P) of the Go scheduler.
//
// If a descriptor is not open, the error is a *BadFDError. An error or a hangup of the peer makes a descriptor ready
// to read and to write. To wait for the same descriptors many times, use a Selector, which is faster.
func Select(read, write, except []int, timeout time.Duration) (r, w, x []int, err error) {
	lists := [3][]int{read, write, except}
	fds, err := pollList(lists)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := pollUntil(fds, timeout); err != nil {
		return nil, nil, nil, err
	}
	var ready [3][]int
	for i, list := range lists {
		for _, fd := range list {
			at, _ := slices.BinarySearchFunc(fds, fd, compareFD)
			p := &fds[at]
			if p.Revents&pollNval != 0 {
				return nil, nil, nil, &BadFDError{fd, Events(1 << i).String()}
			}
			if pollEvents(p.Revents, pollAsked(p.Events))&(1<<i) != 0 {
				ready[i] = append(ready[i], fd)
			}
		}
	}
	return ready[0], ready[1], ready[2], nil
}

func compareFD(p pollFD, fd int) int { return cmp.Compare(int(p.Fd), fd) }

// pollList sorts the lists into one, each descriptor once: poll takes no more entries than the process may open files.
func pollList(lists [3][]int) ([]pollFD, error) {
	var fds []pollFD
	for i, list := range lists {
		fds = slices.Grow(fds, len(list))
		for _, fd := range list {
			if fd < 0 || fd > math.MaxInt32 { // poll skips a negative one
				return nil, &BadFDError{fd, Events(1 << i).String()}
			}
			fds = append(fds, newPollFD(fd, pollBits(1<<i)))
		}
	}
	slices.SortFunc(fds, func(a, b pollFD) int { return cmp.Compare(a.Fd, b.Fd) })
	merged := fds[:0]
	for _, p := range fds {
		if last := len(merged) - 1; last >= 0 && merged[last].Fd == p.Fd {
			merged[last].Events |= p.Events
		} else {
			merged = append(merged, p)
		}
	}
	return merged, nil
}

// pollUntil polls again after a signal.
func pollUntil(fds []pollFD, timeout time.Duration) error {
	var deadline time.Time
	if timeout >= 0 {
		deadline = time.Now().Add(timeout)
	}
	for {
		left := until(deadline)
		n, err := pollFor(fds, left)
		if err != nil {
			return os.NewSyscallError("select: poll", err)
		}
		if n > 0 || left == 0 {
			return nil
		}
	}
}
