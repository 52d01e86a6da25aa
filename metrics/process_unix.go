//go:build unix

package metrics

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// readSystem reads what the system tells: proc(5) and getrusage(2).
func (st *ProcessStats) readSystem() {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		st.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	var size, resident int64
	if _, err := fmt.Sscan(readFile("/proc/self/statm"), &size, &resident); err == nil {
		st.Resident = resident * int64(os.Getpagesize())
	}
	// The size of this directory is the number of descriptors since Linux 6.2. To count its entries takes time for each.
	if info, err := os.Stat("/proc/self/fd"); err == nil && runtime.GOOS == "linux" {
		st.Descriptors = int(info.Size())
	}
	st.MaxDescriptors = rawio.Descriptors()
}
