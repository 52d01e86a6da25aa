package room

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// A Policy says what happens when a member's queue would be longer than Options.Queue.
type Policy uint8

const (
	DropOldest Policy = iota // what has waited longest is dropped
	DropNewest               // what comes is dropped
	KeepLatest               // of each Message.Key only the latest is kept; if that is not enough, the oldest are dropped
	Disconnect               // the member is expelled
)

// String returns the policy's name in words.
func (p Policy) String() string {
	switch p {
	case DropOldest:
		return "drop-oldest"
	case DropNewest:
		return "drop-newest"
	case KeepLatest:
		return "keep-latest"
	case Disconnect:
		return "disconnect"
	}
	return fmt.Sprintf("Policy(%d)", uint8(p))
}

// Options are those of a room. Every field may be left out.
type Options struct {
	// Policy is what slow members get.
	Policy Policy

	// Queue limits the messages that wait for a member, in bytes: each counts 64 more than its data has. What came within one
	// turn of the loop, and what is replayed, may go beyond it. Zero means 64 KiB.
	Queue int

	// Backlog limits the messages that wait for a loop to come to them, in bytes as Queue counts. When it is reached, Publish
	// returns ErrBacklog. From a quarter of it on members that publish are not read. Zero means 4 MiB, or four times Queue if
	// that is more.
	Backlog int

	// History is what the room remembers for members that come.
	History History

	// MaxMembers limits the members of the room. Zero means any number.
	MaxMembers int

	// Presence is how long comings and goings are gathered before the members are told of them, all in one event. Zero means
	// that they are not told. Members tells at any time.
	Presence time.Duration
}

// History bounds what a room remembers: by the number of messages, their bytes as Options.Queue counts them, and their age.
// Zero Messages means none; zero Bytes 1 MiB; zero Age for ever.
type History struct {
	Messages int
	Bytes    int
	Age      time.Duration
}

func (o Options) withDefaults() Options {
	o.Queue = cmp.Or(o.Queue, 64<<10)
	o.Backlog = cmp.Or(o.Backlog, max(4<<20, 4*o.Queue))
	o.History.Bytes = cmp.Or(o.History.Bytes, 1<<20)
	return o
}

// Why a room takes no member or no message.
var (
	// ErrTooManyRooms is Join's answer when Hub.MaxRooms have members already.
	ErrTooManyRooms = errors.New("room: there are too many rooms")

	// ErrTooManyJoined is Join's answer when the member is in Hub.RoomsPerMember rooms.
	ErrTooManyJoined = errors.New("room: the member is in too many rooms")

	// ErrFull is Join's answer when a room has Options.MaxMembers.
	ErrFull = errors.New("room: the room is full")

	// ErrJoined is Join's answer to a member that is in the room.
	ErrJoined = errors.New("room: the member is there already")

	// ErrBacklog is Publish's answer when the loops are so far behind that the message was not taken.
	ErrBacklog = errors.New("room: too much waits for the event loops")

	// ErrRate is Publish's answer to a member that publishes faster than Hub.Rate. The message was not taken.
	ErrRate = errors.New("room: the member publishes too fast")

	// ErrLeft is the answer of a Subscription that has ended.
	ErrLeft = errors.New("room: the member has left the room")

	// ErrTooLong is Publish's answer to a message longer than Options.Queue.
	ErrTooLong = errors.New("room: the message is longer than the queue of a member")
)
