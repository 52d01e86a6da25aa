// Switchboard serves, dials and measures sockets.
//
//	switchboard serve echo                  # an echo server on 127.0.0.1:7007
//	switchboard dial 127.0.0.1:7007         # standard input to the socket, the socket to standard output
//	switchboard help                        # everything else
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard/internal/quote"
)

// Exit codes. A signal that is not handled ends the process as the system does, which a shell shows as 128 and more.
const (
	exitFailed  = 1   // what was asked for did not work
	exitUsage   = 2   // what was asked for makes no sense
	exitTimeout = 124 // as timeout(1) has it
)

// A failure is an error that is not the user's: whatever else a command returns is about how it was called.
type failure struct {
	code int
	error
}

func (f failure) Unwrap() error { return f.error }

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	var f failure
	if errors.As(err, &f) {
		fmt.Fprintf(os.Stderr, "switchboard: %s\n", quote.Error(f.error))
		return f.code
	}
	fmt.Fprintf(os.Stderr, "%s: %s (see %[1]s --help)\n", cmd.CommandPath(), quote.Error(err))
	return exitUsage
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "switchboard",
		Short: "Serve and dial sockets",
		Long: "Switchboard serves and dials stream sockets: TCP over IPv4 and IPv6, with TLS or without, and Unix sockets.\n\n" +
			"It has every architecture that socket servers are taught with, behind the same services.",
		Example: "  switchboard serve echo --mode epoll\n" +
			"  printf hello | switchboard dial 127.0.0.1:7007",
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.Version = version()
	root.SetVersionTemplate(versionLine() + "\n")
	root.AddCommand(serveCommand(), dialCommand(), listenCommand(), benchCommand(), versionCommand())
	root.InitDefaultCompletionCmd()
	completeFlags(root)
	takeSeconds(root)
	wrapHelp(root)
	return root
}

// noArgs is for commands that take none, or only those of their subcommands.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasAvailableSubCommands() {
		return fmt.Errorf("takes no argument, but got %q", args[0])
	}
	err := fmt.Errorf("there is no %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w, did you mean %q?", err, near[0])
	}
	return err
}
