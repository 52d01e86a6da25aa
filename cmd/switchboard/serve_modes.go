package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/classic"
)

// A mode is one of the architectures that serve has.
type mode struct {
	name, about string
	classic     *classic.Mode // nil: event loops
}

// modes lists those of this platform, the usual one first.
func modes() (all []mode) {
	if len(switchboard.Engines()) > 0 {
		all = append(all, mode{name: "loop", about: "event loops, one for each processor"})
	}
	for _, m := range classic.Modes() {
		all = append(all, mode{m.Name, m.About, &m})
	}
	return all
}

func modeNamed(name string) (mode, error) {
	for _, m := range modes() {
		if m.name == name {
			return m, nil
		}
	}
	if name == "auto" { // as --engine has it
		return mode{}, fmt.Errorf("unknown mode %q: the usual one is %s, which chooses its --engine by itself", name, modes()[0].name)
	}
	return mode{}, fmt.Errorf("unknown mode %q on %s: there are %s", name, runtime.GOOS, strings.Join(modeNames(), ", "))
}

func modeNames() (names []string) {
	for _, m := range modes() {
		names = append(names, m.name)
	}
	return names
}

func modesHelp() string {
	var b strings.Builder
	b.WriteString("Modes:\n")
	for _, m := range modes() {
		fmt.Fprintf(&b, "  %-12s%s\n", m.name, m.about)
	}
	return b.String()
}

func completeModes(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, m := range modes() {
		all = append(all, cobra.CompletionWithDesc(m.name, m.about))
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// engines lists what can carry the event loops, the best first.
func engines() []string { return append([]string{"auto"}, switchboard.Engines()...) }

func completeEngines(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return engines(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
