package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	subcommand   = regexp.MustCompile(`(?m)^  ([a-z][a-z-]+) +[A-Z]`)
	otherProgram = regexp.MustCompile(`^(docker|systemd-analyze) `)
	flagName     = regexp.MustCompile(`(?m)(^|[ ,` + "`" + `(])(--[a-z][a-z0-9-]*)`)
)

// help returns the help of a command and of all below it.
func help(t *testing.T, program string, names ...string) string {
	t.Helper()
	out, err := exec.Command(program, append(names, "--help")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(names, " "), err, out)
	}
	text := string(out)
	_, below, _ := strings.Cut(text, "Available Commands:\n")
	below, _, _ = strings.Cut(below, "\n\n")
	for _, found := range subcommand.FindAllStringSubmatch(below, -1) {
		if found[1] != "help" && found[1] != "completion" {
			text += help(t, program, append(names[:len(names):len(names)], found[1])...)
		}
	}
	return text
}

// TestFlagsOfThePagesExist looks whether each flag that a page of the command names is one of the command's.
func TestFlagsOfThePagesExist(t *testing.T) {
	program := filepath.Join(t.TempDir(), "switchboard.exe")
	build := exec.Command("go", "build", "-o", program, "./cmd/switchboard")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	known := map[string]bool{"--help": true}
	for _, found := range flagName.FindAllStringSubmatch(help(t, program), -1) {
		known[found[2]] = true
	}
	count := 0
	for _, p := range readPages(t) {
		if !strings.HasPrefix(p.path, "docs/") && p.path != "README.md" {
			continue
		}
		text := strings.Join(p.text, "\n")
		for _, b := range p.blocks {
			for _, line := range b.lines {
				if !otherProgram.MatchString(line) {
					text += "\n" + line
				}
			}
		}
		for _, found := range flagName.FindAllStringSubmatch(text, -1) {
			if count++; !known[found[2]] {
				t.Errorf("%s: the command has no flag %s", p.path, found[2])
			}
		}
	}
	if len(known) < 50 || count < 100 {
		t.Errorf("only %d flags found, and %d in the pages", len(known), count)
	}
}
