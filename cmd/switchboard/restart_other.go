//go:build !linux

package main

import "github.com/spf13/cobra"

// restartCommands is empty where connections cannot be handed over.
func restartCommands() []*cobra.Command { return nil }
