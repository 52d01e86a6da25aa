package main

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/windows"
)

// noFile is what errors say of a file that is not there: the path, in words that depend on the system's language.
const noFile = ""

// noDescriptor is what errors say of a descriptor that is not open.
const noDescriptor = "non-socket"

// noSource is what bench says of a source address that it cannot have.
const noSource = "--source on windows"

// noConnect is what dial says when a server whose backlog is full lets it wait. Wine connects all the same.
const noConnect = "timeout"

// limited is a program that may have 64 descriptors.
func limited(t testing.TB, args ...string) *exec.Cmd {
	t.Skip("Windows does not limit the descriptors of a process")
	return nil
}

// alive tells whether a process runs.
func alive(pid int) bool {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return false
	}
	defer windows.CloseHandle(process)
	const stillActive = 259
	var code uint32
	return windows.GetExitCodeProcess(process, &code) == nil && code == stillActive
}
