// Package engine moves bytes between the kernel and the connections of an event loop.
//
// There are two kinds of engine. Readiness waits until the kernel says that a descriptor can be read or written, on any
// mechanism of package selector. Completion has the kernel receive into a ring's buffers and send a whole turn's output
// with the one system call that also waits (io_uring, Linux).
//
// An engine knows of a connection only its [Line], and tells the loop what happened to it through [Owner]. Everything that
// it asks of the operating system goes through a [Kernel], behind which a simulator can stand.
package engine

import (
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Events is a set of conditions that a line can wait for.
type Events uint8

const (
	Read   Events = 1 << iota // input, its end, or an error
	Write                     // room for output, the end of connecting, or an error
	Hangup                    // an error alone: a reset by the peer. Its end of output is none
)

// A Line is what an engine knows of a connection. The connection embeds it. It belongs to the loop.
type Line struct {
	FD    int32 // the descriptor, or -1 while there is none
	Index int32 // its place in the Table

	serial uint32 // tells operations of this line from those of the one that had its place before
	wanted Events // what the engine was last told to watch for
	state  lineState
}

// Watches tells whether the engine was told to watch for any of ev.
func (l *Line) Watches(ev Events) bool { return l.wanted&ev != 0 }

// Watched returns what the engine was last told to watch for.
func (l *Line) Watched() Events { return l.wanted }

// A Listener is a listening socket, as an engine knows it. Its owner embeds it.
type Listener struct {
	FD   int // non-blocking
	slot int32
}

// An Owner is a loop. An engine calls it on the loop's goroutine, from within Wait and nowhere else, but for Sent, which
// Submit calls as well. No method is called for a line after Release.
//
// What an Owner's method does may change what any line waits for, or release it. It must not panic. A method that does not
// return (runtime.Goexit) leaves the engine as it should be: Evacuate and another Wait go on with what is left.
type Owner interface {
	// Readable is called when l, which is watched for Read, may have input: the owner reads it, at most len(buf) bytes,
	// and may use buf for that until it returns. It returns how many bytes it took.
	Readable(l *Line, buf []byte) int

	// Received gives the owner bytes that the kernel has already read. p is the engine's again when it returns. More than
	// one call a turn can come, and the last may come after the line is no longer watched for Read.
	Received(l *Line, p []byte)

	// InputEnded is called once, when the peer has ended its output.
	InputEnded(l *Line)

	// Writable is called when l, which is watched for Write, has room for output or has done connecting, well or not. The
	// line is watched for Write no longer if the engine is a completion engine: Watch asks anew.
	Writable(l *Line)

	// Failed is called when the kernel reports an error: of receiving, or the reset of a line that is watched for Hangup.
	Failed(l *Line, call string, errno syscall.Errno)

	// Sent is called when what Batch took has been handed over, and a wait that handed it over has ended: an owner that has
	// more to send calls Submit before it waits. rest is what the kernel did not take, nil mostly. errno is
	// why, or 0 when there was no room.
	Sent(l *Line, rest []byte, errno syscall.Errno)

	// Acceptable is called when connections wait at ln.
	Acceptable(ln *Listener)

	// Rest is called before a wait: the owner may leave the processor to other goroutines, if it has not for the time given.
	Rest(after time.Duration)

	// Woken is called as soon as a wait is over, before anything else.
	Woken()
}

// An Engine carries one loop. All methods but Wake belong to the loop's goroutine.
type Engine interface {
	// Name is what users call it: "epoll", "uring".
	Name() string

	// Listen begins to tell the owner of connections that wait at ln. Unlisten ends it. The descriptor stays the owner's.
	Listen(ln *Listener) error
	Unlisten(ln *Listener)

	// Watch says what l waits for from now on.
	Watch(l *Line, want Events) error

	// Batch takes all of queued and then more, to be sent with the next system call that hands over, and returns true. The
	// owner is told by Sent; until then it must not send on l by other ways. False: the owner sends by itself, as it must
	// when there is too much for a batch or the engine has none.
	Batch(l *Line, queued *buffer.Queue, more []byte) bool

	// BatchShared is Batch for bytes that never change again, which the batch refers to, for a line that has nothing queued.
	BatchShared(l *Line, p []byte) bool

	// Submit hands over the batch now. It reports whether the kernel took it.
	Submit() bool

	// Release forgets l and closes its descriptor, if it has one. Nothing that was begun for l reaches the next descriptor
	// of its number.
	Release(l *Line)

	// Wait takes what has come, after waiting for it at most timeout: less than zero waits until there is something or
	// Wake is called; zero only looks.
	Wait(timeout time.Duration) error

	// Wake ends a wait. Any goroutine may call it.
	Wake()

	// Splices tells whether a line is always read by the owner itself, through Readable, so that it may splice.
	Splices() bool

	// Figures returns what the engine has counted.
	Figures() Figures

	// Still ends all receiving and waiting for lines, and deals with what that brings: when it returns, the kernel does nothing
	// for any line, and the owner has all that was received. The next Wait begins anew. It must not be called within Wait.
	Still()

	// Quiet tells whether the kernel does nothing for l, which is watched for nothing, and the owner has all that was received.
	Quiet(l *Line) bool

	// Processor returns the processor time of the thread that the loop keeps, 0 if it keeps none. Any goroutine may call it.
	Processor() time.Duration

	// Evacuate is called when the loop's goroutine ends early: the loop goes on on another goroutine. Nothing that has come
	// is lost.
	Evacuate()

	// Close gives back what the engine holds. It is the last call of the loop's goroutine, which ends soon.
	Close()
}

// Figures are what a completion engine has counted. Those of others are zero.
type Figures struct {
	Enters      int64 // system calls that entered the ring
	Completions int64 // that the ring has brought
	Starved     int64 // times that the ring had no buffer left for input, which was then read
	Overflows   int64 // times that the queue of completions was full, and the kernel kept the rest
}

// Add adds what another engine has counted.
func (f *Figures) Add(o Figures) {
	f.Enters += o.Enters
	f.Completions += o.Completions
	f.Starved += o.Starved
	f.Overflows += o.Overflows
}

// Config is what an engine is made with.
type Config struct {
	// ReadBuffer is how many bytes one line may bring in one turn.
	ReadBuffer int

	// Lines are those of the loop.
	Lines *Table
}
