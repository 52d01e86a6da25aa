//go:build unix

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// alive tells whether a process runs: one that has ended can still be there, until who started it has asked how.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return !strings.Contains(string(text), ") Z ")
}
