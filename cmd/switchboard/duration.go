package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A seconds is the value of a flag that takes a duration: 300ms, 1m30s, or a plain number of seconds, as nc and others have it.
type seconds struct{ pflag.Value }

// Set implements pflag.Value.
func (s seconds) Set(text string) error {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("it is not a duration (try 5, 300ms or 1m30s)")
	case d < 0:
		return errors.New("it cannot be negative")
	}
	return s.Value.Set(text)
}

// takeSeconds has every duration of a command, and of those below it, take plain numbers, and shortens how defaults are shown.
func takeSeconds(cmd *cobra.Command) {
	change := func(f *pflag.Flag) {
		if f.Value.Type() == "stringSlice" {
			f.DefValue = strings.ReplaceAll(strings.ReplaceAll(f.DefValue, ", ", ","), ",", ", ") // which help can break
		}
		if _, done := f.Value.(seconds); done || f.Value.Type() != "duration" {
			return
		}
		f.Value = seconds{f.Value}
		f.DefValue = shortDuration(f.DefValue)
	}
	cmd.Flags().VisitAll(change)
	cmd.PersistentFlags().VisitAll(change)
	for _, c := range cmd.Commands() {
		takeSeconds(c)
	}
}

// shortDuration leaves out the units of which there are none: 1m for 1m0s, and 0 for 0s.
func shortDuration(text string) string {
	if text == "0s" {
		return "0"
	}
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
