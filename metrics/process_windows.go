package metrics

import (
	"time"

	"golang.org/x/sys/windows"
)

// readSystem reads what the system tells.
func (st *ProcessStats) readSystem() {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user) == nil {
		ticks := func(t windows.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) } // of 100 ns
		st.CPU = time.Duration(ticks(kernel)+ticks(user)) * 100
	}
}
