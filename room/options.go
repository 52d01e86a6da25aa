package room

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// A Policy says what happens when a member's queue would exceed Options.Queue.
type Policy uint8

const (
	DropOldest Policy = iota // drop the oldest message
	DropNewest               // drop the new message
	KeepLatest               // keep the latest message of each Message.Key; if that is not enough, drop the oldest
	Disconnect               // expel the member
)

// String returns the name of the policy, such as "drop-oldest".
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

// Options are the options of a room. All fields are optional.
type Options struct {
	// Policy says what happens to slow members.
	Policy Policy

	// Queue limits the messages that wait for a member, in bytes: the length of their data, and 64 bytes for each.
	// Messages of one turn of the loop, and replayed messages, may exceed it. Zero means 64 KiB.
	Queue int

	// Backlog limits the messages that wait for a loop, in bytes as Queue counts them. At the limit Publish returns
	// ErrBacklog. From a quarter of it on, the connections of members that publish are not read. Zero means 4 MiB, or
	// four times Queue if that is more.
	Backlog int

	// History is what the room remembers for new members.
	History History

	// MaxMembers limits the number of members. Zero means no limit.
	MaxMembers int

	// Presence is how long joins and leaves are collected before the members get one event about them. Zero means no
	// events.
	Presence time.Duration
}

// History limits what a room remembers: the number of messages, their size in bytes as Options.Queue counts it, and
// their age. Zero Messages means no history. Zero Bytes means 1 MiB. Zero Age means no limit.
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

// Errors of Join and Publish.
var (
	// ErrTooManyRooms is the error of Join if Hub.MaxRooms rooms have members already.
	ErrTooManyRooms = errors.New("room: there are too many rooms")

	// ErrTooManyJoined is the error of Join if the member is in Hub.RoomsPerMember rooms already.
	ErrTooManyJoined = errors.New("room: the member is in too many rooms")

	// ErrFull is the error of Join if the room has Options.MaxMembers members already.
	ErrFull = errors.New("room: the room is full")

	// ErrJoined is the error of Join if the member is in the room already.
	ErrJoined = errors.New("room: the member is there already")

	// ErrBacklog is the error of Publish if Options.Backlog is full. The message was not published.
	ErrBacklog = errors.New("room: too much waits for the event loops")

	// ErrRate is the error of Publish if the member publishes faster than Hub.Rate. The message was not published.
	ErrRate = errors.New("room: the member publishes too fast")

	// ErrLeft is the error of a Subscription that has ended.
	ErrLeft = errors.New("room: the member has left the room")

	// ErrHandedOver is the error of Join in a process that has handed its rooms over, see Hub.Hand, and of Publish there when the other
	// process is gone. The client must connect again.
	ErrHandedOver = errors.New("room: another process has taken over the rooms")

	// ErrTooLong is the error of Publish if the message is longer than Options.Queue. The message was not published.
	ErrTooLong = errors.New("room: the message is longer than the queue of a member")
)
