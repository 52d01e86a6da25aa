// Switchboard serves, dials and measures sockets.
//
//	switchboard serve echo                  # an echo server on 127.0.0.1:7007
//	switchboard dial 127.0.0.1:7007         # standard input to the socket, the socket to standard output
//	switchboard help                        # everything else
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

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
	holdSignals(args)
	root := rootCommand()
	root.SetArgs(args)
	out := &output{w: os.Stdout}
	root.SetOut(out)
	cmd, err := root.ExecuteC()
	if err == nil {
		err = out.err
	}
	if err == nil {
		return 0
	}
	var f failure
	if errors.As(err, &f) {
		text := quote.Error(f.error)
		if errors.Is(err, syscall.EMFILE) && !strings.Contains(text, "ulimit -n") {
			text += " (raise the limit of this process: ulimit -n)"
		}
		fmt.Fprintf(os.Stderr, "switchboard: %s\n", text)
		return f.code
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) && p.Op == "write" { // a full disk is no wrong call
		fmt.Fprintf(os.Stderr, "switchboard: %s\n", quote.Error(err))
		return exitFailed
	}
	fmt.Fprintf(os.Stderr, "%s: %s (see %[1]s --help)\n", cmd.CommandPath(), quote.Error(err))
	return exitUsage
}

// An output writes to w, and keeps the first error to itself: cobra would print it a second time.
type output struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if o.err == nil {
		_, o.err = o.w.Write(p)
	}
	return len(p), nil
}

func rootCommand() *cobra.Command { return rootCommandOf(new(serving)) }

// rootCommandOf is rootCommand with the flags of serve in s.
func rootCommandOf(s *serving) *cobra.Command {
	root := &cobra.Command{
		Use:   "switchboard",
		Short: "Serve, dial and measure sockets",
		Long: "Switchboard serves, dials and measures sockets: TCP over IPv4 and IPv6, with or without TLS, WebSocket, UDP, Unix\n" +
			"sockets and ZeroMQ.\n\n" +
			"Start with one of the examples. Every command has its own help.",
		Example: "  switchboard serve echo\n" +
			"  printf hello | switchboard dial 127.0.0.1:7007\n" +
			"  switchboard bench 127.0.0.1:7007",
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.Version = version()
	root.SetVersionTemplate(versionLine() + "\n")
	root.AddCommand(serveCommand(s), dialCommand(), listenCommand(), benchCommand(), topCommand(), versionCommand())
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(restartCommands()...)
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // which says nothing of a shell that it does not know
			c.Args, c.RunE = noArgs, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return plainNumber(err) })
	completeFlags(root)
	takeSeconds(root)
	refuseEmpty(root)
	wrapHelp(root)
	return root
}

// plainNumber says what is wrong with the value of a flag in words, and not in those of package strconv.
func plainNumber(err error) error {
	var n *strconv.NumError
	if !errors.As(err, &n) {
		return err
	}
	why := "it is not a number"
	switch {
	case n.Func == "ParseBool":
		why = "it is neither true nor false"
	case errors.Is(n.Err, strconv.ErrRange):
		why = "it is out of range"
	case n.Func != "ParseFloat":
		why = "it is not a whole number"
	}
	return errors.New(strings.Replace(err.Error(), n.Error(), why, 1))
}

// noArgs is for commands that take none, or only those of their subcommands.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasAvailableSubCommands() {
		return fmt.Errorf("takes no arguments, but got %q", args[0])
	}
	err := fmt.Errorf("there is no %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w, did you mean %q?", err, near[0])
	}
	return err
}
