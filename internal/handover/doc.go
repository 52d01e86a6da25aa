// Package handover is what two processes say to each other while one gives its listeners and connections to the other over a
// Unix socket: the records, their bytes on the wire, and the descriptors that go with them (unix(7), SCM_RIGHTS).
//
//	giver                           taker
//	Hello: versions that it speaks  →
//	                                ← Hello: the version of this handover; or Refused
//	Listeners, with descriptors     →
//	                                ← Ready; or Refused
//	Conns, with descriptors; again and again: idle ones, since version 2  →
//	Ahead: these were the idle ones; since version 3  →
//	                                ← Ready: it has handlers for them
//	Shared, in pieces, of what handlers share; since version 2  →
//	Withdrawn: IDs of these that are not offered any more; since version 2  →
//	Conns, with descriptors; again and again  →
//	End                             →
//	                                ← Mine: all but these
//	Late: what was written meanwhile  →
//
// Every connection belongs to the giver until the taker has sent Mine. A giver that waits no longer ends its reading of the
// socket first ([Link.ReceiveLast]): then either Mine was sent and lies in the socket, or it cannot be sent any more. So both
// always know the same.
package handover

import "errors"

// Oldest and Newest are the versions of the format that this package speaks. A version is for good: what it says never changes.
const (
	Oldest = 1
	Newest = 3
)

const (
	// EarlyVersion is the first version of the format that has Withdrawn.
	EarlyVersion = 2

	// AheadVersion is the first one that has Ahead, and in which Withdrawn may name the connections of a Pipe, both of them.
	AheadVersion = 3
)

const (
	// MaxConns is how many connections go into one frame: the system passes at most 253 descriptors at once.
	MaxConns = 128

	// MaxListeners is how many listeners one process gives.
	MaxListeners = 250

	// MaxFrame bounds a frame, in bytes. A connection that holds more cannot move.
	MaxFrame = 64 << 20

	// MaxState bounds what a handler says of its state, in bytes.
	MaxState = 16 << 20

	// MaxShared bounds what handlers share, in bytes.
	MaxShared = 1 << 30

	// SharedVersion is the first version of the format that has Shared.
	SharedVersion = 2
)

// A Kind says what a frame is.
type Kind uint8

const (
	Hello Kind = 1 + iota
	Listeners
	Ready
	Conns
	End
	Mine
	Late
	Refused
	Shared
	Withdrawn
	Ahead
)

// ErrFormat is the error of bytes that are no frame of this protocol.
var ErrFormat = errors.New("handover: the other process does not speak this protocol, or its bytes are broken")
