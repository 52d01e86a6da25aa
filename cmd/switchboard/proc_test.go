package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What /proc tells about a server and its workers. Where there is none, nothing is checked.

// pids are those of the server and of the workers that it has now.
func (s *server) pids() []int {
	pids := []int{s.cmd.Process.Pid}
	for _, e := range s.entries("worker started") {
		pids = append(pids, int(e["worker"].(float64)))
	}
	return pids
}

// descriptors counts what a server and its workers have open.
func descriptors(t testing.TB, s *server) int {
	t.Helper()
	n := 0
	for _, pid := range s.pids() {
		open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		n += len(open)
	}
	return n
}

// resident is the memory that the server occupies, in bytes.
func resident(t testing.TB, s *server) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	n, err := strconv.Atoi(stat(t, s.cmd.Process.Pid)[23])
	if err != nil {
		t.Fatal(err)
	}
	return n * os.Getpagesize()
}

// spinsNot looks for a while whether a server that has nothing to do does nothing.
func spinsNot(t testing.TB, s *server) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	const look, allowed = 400 * time.Millisecond, 200 * time.Millisecond
	busy := func() (total time.Duration) {
		for _, pid := range s.pids() {
			fields := stat(t, pid)
			for _, ticks := range []string{fields[13], fields[14]} { // user and system time
				n, _ := strconv.Atoi(ticks)
				total += time.Duration(n) * time.Second / 100
			}
		}
		return total
	}
	before := busy()
	time.Sleep(look)
	if used := busy() - before; used > allowed {
		t.Errorf("busy for %v of %v with nothing to do", used, look)
	}
}

// stat returns the fields of proc_pid_stat(5), counted from 0.
func stat(t testing.TB, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return append([]string{"", ""}, strings.Fields(rest)...)
}

// until waits for what no event tells of.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to pass that %s", what)
		}
	}
}
