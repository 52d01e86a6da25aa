package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// restartCommands has the command that tells a server to restart.
func restartCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:   "restart PID",
		Short: "Have a server start again without dropping anyone",
		Long: `Have a server start again without dropping anyone: it starts the program at its own path, which may be a newer version,
with the same flags, hands its listeners and connections over, and ends when its last connection has, or --grace is over.

It is the signal SIGUSR2 to a process of "switchboard serve" in mode loop; other processes are not sent it, as it would end
them. The log of the server says how it went. If the new process does not come up, the old one goes on serving.`,
		Example: "  switchboard restart 1234\n  switchboard restart $(pidof -s switchboard)",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("which process? Give one PID")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			pid, err := strconv.Atoi(args[0])
			if err != nil || pid <= 0 {
				return fmt.Errorf("%q is no PID", args[0])
			}
			err = checkRestartable(pid)
			if err == nil {
				err = syscall.Kill(pid, syscall.SIGUSR2)
			}
			if err != nil {
				return failure{exitFailed, fmt.Errorf("restart: %w", err)}
			}
			return nil
		},
	}}
}

// hasSignal tells whether a signal is in one of the sets of a process, whose /proc/PID/status is given: SigCgt: are those that it
// handles, SigIgn: those that it ignores.
func hasSignal(status, set string, s syscall.Signal) bool {
	for line := range strings.Lines(status) {
		if mask, ok := strings.CutPrefix(line, set); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return err == nil && n&(1<<(s-1)) != 0
		}
	}
	return false
}
