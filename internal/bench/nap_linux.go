package bench

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// newNap returns a sleep that is good to some microseconds, for the calling goroutine alone, and what ends its use. The
// runtime's own timers are good to a millisecond when nothing else happens: its poller waits in such units.
func newNap() (nap func(time.Duration), done func()) {
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return func(d time.Duration) {
			t := unix.NsecToTimespec(int64(d))
			unix.Nanosleep(&t, nil) // a signal may cut it short: the caller looks at the clock
		}, func() {
			unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // back to the thread's default
			runtime.UnlockOSThread()
		}
}
