package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var errEmpty = errors.New("it is empty")

// A nonempty is the value of a flag that takes a text, and not an empty one: that is a variable of a script that was not set,
// and the default in its place might serve more clients than was meant.
type nonempty struct{ pflag.Value }

// Set implements pflag.Value.
func (v nonempty) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	return v.Value.Set(text)
}

// A nonemptyList is nonempty for a flag that takes several texts.
type nonemptyList struct {
	pflag.Value
	pflag.SliceValue
}

// Set implements pflag.Value.
func (l nonemptyList) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	if err := l.Value.Set(text); err != nil {
		return err
	}
	return l.check()
}

// Replace implements pflag.SliceValue. No text at all is good.
func (l nonemptyList) Replace(texts []string) error {
	if err := l.SliceValue.Replace(texts); err != nil {
		return err
	}
	return l.check()
}

func (l nonemptyList) check() error {
	if slices.Contains(l.GetSlice(), "") {
		return errors.New("one of its values is empty")
	}
	return nil
}

// mayBeEmpty are the flags whose text may be empty.
var mayBeEmpty = []string{"body", "lines"} // without --lines there are none

// refuseEmpty has the flags of a command, and of those below it, refuse empty texts.
func refuseEmpty(cmd *cobra.Command) {
	change := func(f *pflag.Flag) {
		list, isList := f.Value.(pflag.SliceValue)
		switch _, done := f.Value.(nonemptyList); {
		case done || slices.Contains(mayBeEmpty, f.Name):
		case isList:
			f.Value = nonemptyList{f.Value, list}
			if f.DefValue == "[]" { // help would show it
				f.DefValue = ""
			}
		case f.Value.Type() == "string":
			if _, done := f.Value.(nonempty); !done {
				f.Value = nonempty{f.Value}
			}
		}
	}
	cmd.Flags().VisitAll(change)
	cmd.PersistentFlags().VisitAll(change)
	for _, c := range cmd.Commands() {
		refuseEmpty(c)
	}
}
