//go:build unix

package websocket

import "syscall"

// ownGroup starts a program with all that it starts in a process group of its own, and killGroup ends them.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
