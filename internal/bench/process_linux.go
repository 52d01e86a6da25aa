package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func nameOf(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is no such process")
	}
	return strings.TrimSpace(string(text)), err
}

// usageOf sums up what processes have used, and all that they have started and that lives, and what these have waited
// for. What a child used that nobody waited for is lost.
func usageOf(pids []int) (usage, error) {
	var u usage
	for _, pid := range family(pids) {
		cpu, err := processorTime(pid)
		if err != nil {
			if slices.Contains(pids, pid) {
				return u, err
			}
			continue // it has ended meanwhile
		}
		u.cpu += cpu
		if stat, err := statOf(pid); err == nil {
			const cutime, cstime = 15, 16 // in ticks of 10 ms
			for _, field := range []int{cutime, cstime} {
				ticks, _ := strconv.ParseInt(stat[field], 10, 64)
				u.cpu += time.Duration(ticks) * (time.Second / 100)
			}
			const rss = 23 // in pages
			pages, _ := strconv.ParseInt(stat[rss], 10, 64)
			u.resident += pages * int64(os.Getpagesize())
		}
	}
	return u, nil
}

// processorTime reads another process's clock, which is good to nanoseconds (clock_getcpuclockid(3)).
func processorTime(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED, <linux/posix-timers.h>
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("its processor time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// statOf returns the fields of /proc/PID/stat (proc_pid_stat(5)), counted from 0.
func statOf(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	i := strings.LastIndex(string(text), ") ") // the name before it may hold anything
	if i < 0 {
		return nil, fs.ErrInvalid
	}
	fields := append([]string{"", ""}, strings.Fields(string(text[i+2:]))...)
	if len(fields) < 24 {
		return nil, fs.ErrInvalid
	}
	return fields, nil
}

// parents returns the parent of every process.
func parents() map[int]int {
	of := map[int]int{}
	for _, pid := range processes() {
		if stat, err := statOf(pid); err == nil {
			of[pid], _ = strconv.Atoi(stat[3])
		}
	}
	return of
}

// family returns pids and all that they have started.
func family(pids []int) []int {
	parent := parents()
	all := slices.Clone(pids)
	for pid := range parent {
		for up := parent[pid]; up > 0; up = parent[up] {
			if slices.Contains(pids, up) && !slices.Contains(pids, pid) {
				all = append(all, pid)
				break
			}
		}
	}
	return all
}

// outermost returns those of pids that none of the others has started.
func outermost(pids []int) (roots []int) {
	parent := parents()
	for _, pid := range pids {
		up := parent[pid]
		for up > 0 && !slices.Contains(pids, up) {
			up = parent[up]
		}
		if up == 0 {
			roots = append(roots, pid)
		}
	}
	return roots
}
