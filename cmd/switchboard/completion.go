package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// schemes are what an address may begin with, of each command that takes one.
var schemes = map[string][]string{
	"dial":      {"tls://", "udp://", "ws://", "wss://", "zmq+sub://", "unix:"},
	"listen":    {"udp://", "unix:", "fd://"},
	"bench":     {"http://", "https://", "tls://", "ws://", "wss://", "unix:"},
	"--to":      {"tls://", "unix:", "ws://", "wss://"},
	"--connect": {"tls://", "unix:"},
	"--other":   {"unix:", "ws://", "wss://", "fd://", "systemd:"}, // of what serve listens on
	"top":       {"http://", "https://", "unix:"},
}

// completeAddresses completes the address of a command: how it may begin, this host, and the files behind unix: or in a path.
func completeAddresses(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeAddress(schemes[cmd.Name()], text)
}

// completeAddress completes an address that may begin with some schemes.
func completeAddress(schemes []string, text string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		for _, name := range filesBeginning(path) {
			all = append(all, "unix:"+name)
		}
		return all, directive
	}
	for _, begin := range append(schemes, "127.0.0.1:", "localhost:") {
		if strings.HasPrefix(begin, text) {
			all = append(all, begin)
		}
	}
	if before, host, ok := strings.Cut(text, "://"); ok && before != "fd" {
		for _, here := range []string{"127.0.0.1:", "localhost:"} {
			if strings.HasPrefix(here, host) {
				all = append(all, before+"://"+here)
			}
		}
	}
	return all, directive
}

// filesBeginning returns the sockets and directories whose path begins so; those have a slash at their end.
func filesBeginning(path string) (found []string) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean("./" + dir))
	if filepath.IsAbs(dir) {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		return nil
	}
	for _, e := range entries {
		switch {
		case !strings.HasPrefix(e.Name(), base) || base == "" && strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			found = append(found, dir+e.Name()+"/")
		case e.Type()&os.ModeSocket != 0:
			found = append(found, dir+e.Name())
		}
	}
	return found
}

// completeFlags gives the flags of a command, and of those below it, a completion: addresses and files where they are meant,
// and nothing where only the user knows.
func completeFlags(cmd *cobra.Command) {
	complete := func(f *pflag.Flag) {
		what, _ := pflag.UnquoteUsage(f)
		_, known := cmd.GetFlagCompletionFunc(f.Name)
		_, files := f.Annotations[cobra.BashCompFilenameExt]
		_, folders := f.Annotations[cobra.BashCompSubdirsInDir]
		var answer cobra.CompletionFunc
		switch {
		case known || files || folders || f.Value.Type() == "bool":
			return
		case what == "ADDRESS" && f.Name != "source":
			begin := schemes["--other"]
			switch {
			case f.Name == "to":
				begin = schemes["--to"]
			case strings.HasPrefix(f.Name, "to") || strings.HasPrefix(f.Name, "connect"):
				begin = schemes["--connect"]
			}
			answer = func(_ *cobra.Command, _ []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
				return completeAddress(begin, text)
			}
		case what == "FILE" || what == "DIR" || what == "TEXT":
			return // files, as the shell has it
		default:
			answer = cobra.NoFileCompletions
		}
		cmd.RegisterFlagCompletionFunc(f.Name, answer)
	}
	cmd.PersistentFlags().VisitAll(complete)
	cmd.LocalNonPersistentFlags().VisitAll(complete)
	for _, c := range cmd.Commands() {
		completeFlags(c)
	}
}
