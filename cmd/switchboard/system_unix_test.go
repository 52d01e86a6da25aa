//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// noFile is what errors say of a file that is not there.
const noFile = "no such file"

// noDescriptor is what errors say of a descriptor that is not open.
const noDescriptor = "bad file descriptor"

// noSource is what bench says of a source address that it cannot have.
const noSource = "no interface of this machine"

// noConnect is what dial says when a server whose backlog is full lets it wait.
const noConnect = "connect"

// limited is a program that may have 64 descriptors.
func limited(t testing.TB, args ...string) *exec.Cmd {
	return exec.Command("sh", append([]string{"-c", `ulimit -n 64 && exec "$@"`, "sh", os.Args[0]}, args...)...)
}

// alive tells whether a process runs: one that has ended can still be there, until who started it has asked how.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return !strings.Contains(string(text), ") Z ")
}
