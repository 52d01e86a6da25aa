//go:build unix

package bench

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func ownCost() cost {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return cost{time.Duration(u.Utime.Nano() + u.Stime.Nano()), waitedFor("/proc/self/task")}
}

// waitedFor sums up how long the threads waited for a processor: the second field of each schedstat (proc(5), Linux).
func waitedFor(tasks string) (total time.Duration) {
	threads, _ := os.ReadDir(tasks)
	for _, t := range threads {
		text, _ := os.ReadFile(tasks + "/" + t.Name() + "/schedstat")
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			ns, _ := strconv.ParseInt(fields[1], 10, 64)
			total += time.Duration(ns)
		}
	}
	return total
}
