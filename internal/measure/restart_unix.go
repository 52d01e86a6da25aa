//go:build unix

package main

import "syscall"

// askToRestart has the command start itself again.
func askToRestart(pid int) error { return syscall.Kill(pid, syscall.SIGUSR2) }
