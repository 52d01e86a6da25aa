package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Most changes can be in one program together, each behind a condition: MUTATION in the environment says which of them is made.
// Then all of them cost one build. Those that cannot, such as one of a constant or one within another, are built alone.

// guards is the file that is added to a package for its conditions.
const guards = `package %s

import (
	"os"
	"strconv"
)

var mutationNumber, _ = strconv.Atoi(os.Getenv("MUTATION"))

func mutated(n int) bool { return mutationNumber == n }

func mutatedTo[T any](n int, was, now T) T {
	if mutated(n) {
		return now
	}
	return was
}
`

// A guard is how a change is made under a condition: the text that replaces a part of the file.
type guard struct {
	from, to int
	text     string // in which guardNumber stands for the number; empty: it cannot be
}

const guardNumber = "\x00"

// instead guards a statement that becomes another. What is duplicated must not have several lines, as the lines of errors tell
// which guards are wrong.
func (v *visitor) instead(from, to int, now string) guard {
	was := string(v.source[from:to])
	if strings.Contains(was, "\n") {
		return guard{}
	}
	return guard{from, to, "if mutated(" + guardNumber + ") {" + now + "} else {" + was + "}"}
}

// either guards an expression that becomes another one. lazy says that it is a condition, of which a part may not be evaluated.
func (v *visitor) either(from, to int, now string, lazy bool) guard {
	was := string(v.source[from:to])
	switch m := "mutated(" + guardNumber + ")"; {
	case strings.Contains(was, "\n"):
		return guard{}
	case lazy:
		return guard{from, to, "(" + m + " && (" + now + ") || !" + m + " && (" + was + "))"}
	}
	return guard{from, to, "mutatedTo(" + guardNumber + ", " + was + ", " + now + ")"}
}

// guarded chooses those of the changes with these numbers that can be in one program, and returns its files.
func guarded(all []change, numbers []int) (files map[string][]byte, chosen []int) {
	byPath := make(map[string][]int)
	for _, n := range numbers {
		if c := &all[n-1]; c.guard.text != "" {
			byPath[c.path] = append(byPath[c.path], n)
		}
	}
	files = make(map[string][]byte)
	for path, list := range byPath {
		slices.SortFunc(list, func(a, b int) int { return all[a-1].guard.from - all[b-1].guard.from })
		original := all[list[0]-1].original
		var source []byte
		at := 0
		for _, n := range list {
			g := all[n-1].guard
			if g.from < at { // within another
				continue
			}
			source = append(source, original[at:g.from]...)
			source = append(source, strings.ReplaceAll(g.text, guardNumber, strconv.Itoa(n))...)
			at = g.to
			chosen = append(chosen, n)
		}
		files[path] = append(source, original[at:]...)
		files[filepath.Join(filepath.Dir(path), "mutation_guards.go")] = fmt.Appendf(nil, guards, packageOf(original))
	}
	return files, chosen
}

var packageClause = regexp.MustCompile(`(?m)^package (\w+)`)

func packageOf(source []byte) string { return string(packageClause.FindSubmatch(source)[1]) }

var errorLine = regexp.MustCompile(`(?m)^([^\s:]+\.go):(\d+):`)

// together builds a program with as many of the changes as can be in one, and returns their numbers.
func (r *runner) together(all []change, numbers []int) (chosen []int, err error) {
	for left := numbers; ; {
		var files map[string][]byte
		if files, chosen = guarded(all, left); len(chosen) == 0 {
			return nil, nil
		}
		if err = r.lay(files); err != nil {
			return nil, err
		}
		out, err := r.build(r.tests[0].pkg)
		if err == nil {
			return chosen, nil
		}
		wrong := make(map[string]bool)
		for _, m := range errorLine.FindAllSubmatch(out, -1) {
			wrong[r.laid[string(m[1])]+":"+string(m[2])] = true
		}
		before := len(left)
		left = slices.DeleteFunc(slices.Clone(left), func(n int) bool {
			c := &all[n-1]
			first := c.line - strings.Count(string(c.original[c.guard.from:c.offset]), "\n")
			last := first + strings.Count(string(c.original[c.guard.from:max(c.guard.to, c.guard.from)]), "\n")
			for line := first; line <= last; line++ {
				if wrong[fmt.Sprintf("%s:%d", c.path, line)] {
					return true
				}
			}
			return false
		})
		if len(left) == before {
			fmt.Fprintf(os.Stderr, "mutation: every change is built alone:\n%s\n", out)
			return nil, nil
		}
	}
}
