package compare

import (
	"os/exec"
	"syscall"
)

// asGroup gives a process a group of its own, so that the terminal's interrupt does not reach it and what it starts can be
// ended with it, and has it end if this process is killed.
func asGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
