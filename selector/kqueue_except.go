//go:build darwin || dragonfly || openbsd

package selector

import "golang.org/x/sys/unix"

// These kqueues have a filter for urgent data.
const (
	hasExceptFilter = true
	filterExcept    = unix.EVFILT_EXCEPT
	noteUrgent      = unix.NOTE_OOB
)
