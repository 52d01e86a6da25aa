//go:build unix && !linux

package compare

import (
	"os/exec"
	"syscall"
)

// asGroup gives a process a group of its own, so that the terminal's interrupt does not reach it and what it starts can be
// ended with it.
func asGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
