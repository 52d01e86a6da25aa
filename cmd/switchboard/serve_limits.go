package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard"
)

// loopFlags are those that only event loops have: the fields of switchboard.Server. A time of 0 is never, here.
type loopFlags struct {
	loops        int
	engine       string
	readBuffer   size
	inputLimit   size
	highWater    size
	lowWater     size // 0: a quarter of highWater
	queueLimit   size // 0: 1M, or four times highWater
	writeTimeout time.Duration
	linger       time.Duration
	halfClose    time.Duration
	messageTime  time.Duration
	memory       memoryLimit
	slowCall     time.Duration
	tls          serverTLS
	access       accessFlags

	set *pflag.FlagSet
}

func (f *loopFlags) add(flags *pflag.FlagSet) {
	f.readBuffer, f.inputLimit, f.highWater = 64<<10, 1<<20, 64<<10
	f.set = pflag.NewFlagSet("loop", pflag.ContinueOnError)
	f.set.IntVar(&f.loops, "loops", 0, "event loops (0: one for each processor)")
	f.set.StringVar(&f.engine, "engine", "auto", "I/O engine of the loops: "+strings.Join(engines(), ", "))
	f.set.Var(&f.readBuffer, "read-buffer", "bytes to read from one connection before the loop serves the next one")
	f.set.Var(&f.inputLimit, "input-limit", "unprocessed input of a connection at which reading stops")
	f.set.Var(&f.highWater, "high-water", "queued output of a connection at which reading it stops")
	f.set.Var(&f.lowWater, "low-water", "queued output of a connection at which reading it resumes (default: a quarter of --high-water)")
	f.set.Var(&f.queueLimit, "queue-limit", "limit of the queued output of a connection (default: 1M, or four times --high-water if that is more)")
	f.set.DurationVar(&f.writeTimeout, "write-timeout", time.Minute, "reset a client that takes no output for this long (0: never)")
	f.set.DurationVar(&f.linger, "linger", 5*time.Second, "time to wait at the end of a connection for the client to close its side (0: do not wait)")
	f.set.DurationVar(&f.halfClose, "half-close-timeout", 10*time.Minute,
		"reset a half-closed connection on which no byte has moved for this long (0: never)")
	f.set.DurationVar(&f.messageTime, "message-timeout", time.Minute,
		"reset a client that takes this long for one message, such as a line or a TLS record (0: never)")
	f.set.Var(&f.memory, "memory-limit", "limit of the memory of all clients; at the limit those that use most are reset (0: no limit; "+
		"default: a quarter of the memory that the process may use, or a third of $GOMEMLIMIT)")
	f.set.DurationVar(&f.slowCall, "slow-call", 100*time.Millisecond, "log a handler that blocks its loop for this long (0: never)")
	f.tls.add(f.set)
	f.access.add(f.set)
	flags.AddFlagSet(f.set)
}

// refuse makes sure that none of these flags was given in a mode that has no loops.
func (f *loopFlags) refuse(flags *pflag.FlagSet, mode string) (err error) {
	f.set.VisitAll(func(flag *pflag.Flag) {
		if err == nil && flags.Changed(flag.Name) {
			err = fmt.Errorf("--%s is for the mode loop, and %s has no such thing", flag.Name, mode)
		}
	})
	return err
}

// check makes sure that the flags make sense together.
func (f *loopFlags) check(flags *pflag.FlagSet) error {
	low := cmp.Or(f.lowWater, f.highWater/4)
	limit := f.mostQueued()
	switch {
	case f.loops < 0 || f.loops > 1024:
		return fmt.Errorf("--loops %d: 1 to 1024 (0: one for each processor)", f.loops)
	case !slices.Contains(engines(), f.engine) && f.engine != "uring": // the Server tells what a kernel lacks for that
		return fmt.Errorf("unknown --engine %q: there are %s", f.engine, strings.Join(engines(), ", "))
	case low >= f.highWater:
		return fmt.Errorf("--low-water %s: it must be less than --high-water, %s", &low, &f.highWater)
	case limit < f.highWater+f.readBuffer:
		return fmt.Errorf("--queue-limit %s: it must hold at least --high-water, %s, and --read-buffer, %s",
			&limit, &f.highWater, &f.readBuffer)
	case limit > 1<<30:
		return fmt.Errorf("--queue-limit %s: at most 1G", &limit)
	}
	return cmp.Or(f.tls.check(flags), f.access.check())
}

// mostQueued is --queue-limit, its default in words.
func (f *loopFlags) mostQueued() size { return cmp.Or(f.queueLimit, max(1<<20, 4*f.highWater)) }

// server returns a server with the limits that the flags ask for.
func (s *serving) server() *switchboard.Server {
	f := &s.loop
	return &switchboard.Server{
		Loops:         f.loops,
		Engine:        f.engine,
		MaxConns:      s.maxConns,
		Admission:     f.access.admission(),
		ReadBuffer:    int(f.readBuffer),
		InputLimit:    int(f.inputLimit),
		HighWater:     int(f.highWater),
		LowWater:      int(f.lowWater),
		QueueLimit:    int(f.queueLimit),
		IdleTimeout:   s.idleTimeout,
		KeepAlive:     orNever(s.keepAlive),
		WriteTimeout:  orNever(f.writeTimeout),
		LingerTimeout: orNever(f.linger),
		SlowCall:      orNever(f.slowCall),

		HalfCloseTimeout: f.halfClose,
		MessageTimeout:   f.messageTime,
		MemoryLimit:      f.memory.bytes(f.loops),

		SampleCalls:      s.admin.sample(),
		Handshakes:       f.tls.handshakes,
		HandshakeTimeout: orNever(f.tls.timeout),
	}
}

// orNever turns a flag's time into a Server's, whose 0 is a default.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
