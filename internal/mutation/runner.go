package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What becomes of a change.
const (
	found  = "found"
	lives  = "LIVES"
	broken = "does not compile"
)

// A runner builds test binaries and runs them.
type runner struct {
	dir     string // for all that it makes
	tests   []test
	limit   time.Duration
	overlay string            // where the changes go in, for the go command
	laid    map[string]string // the files of the tree, by those that are used instead
	built   map[string]string // test binaries with that overlay, by package
	parts   map[string]string // the directories of all that a package's tests are built from, by package
}

// A test is the test binary of a package, and what it is told.
type test struct {
	pkg  string
	args []string
}

func newRunner(tests string, limit time.Duration) (*runner, error) {
	r := &runner{limit: limit, parts: make(map[string]string)}
	for one := range strings.SplitSeq(tests, "&&") {
		words := strings.Fields(one)
		if len(words) == 0 {
			return nil, errors.New("-test: a test is a package and what its test binary is told")
		}
		r.tests = append(r.tests, test{words[0], words[1:]})
		parts, err := exec.Command("go", "list", "-deps", "-test", "-f", "{{.Dir}}", words[0]).Output()
		if err != nil {
			return nil, fmt.Errorf("go list %s: %w", words[0], err)
		}
		r.parts[words[0]] = string(parts)
	}
	var err error
	if r.dir, err = os.MkdirTemp("", "mutation"); err != nil {
		return nil, err
	}
	return r, r.lay(nil)
}

// lay has the next builds use these files instead of those of the tree.
func (r *runner) lay(files map[string][]byte) error {
	replace := make(map[string]string)
	r.laid = make(map[string]string)
	for path, source := range files {
		original, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		changed := filepath.Join(r.dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(changed, source, 0o644); err != nil {
			return err
		}
		replace[original], r.laid[changed] = changed, path
	}
	words, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return err
	}
	r.overlay, r.built = filepath.Join(r.dir, "overlay.json"), make(map[string]string)
	return os.WriteFile(r.overlay, words, 0o644)
}

// build builds the test binary of a package, if it is not there.
func (r *runner) build(pkg string) (out []byte, err error) {
	if r.built[pkg] != "" {
		return nil, nil
	}
	binary := filepath.Join(r.dir, strings.NewReplacer(".", "_", "/", "_").Replace(pkg)+".test")
	out, err = exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s", "-overlay="+r.overlay, "-o", binary, pkg).CombinedOutput()
	if err == nil {
		r.built[pkg] = binary
	}
	return out, err
}

// run runs the tests that can see a change of path until one fails. number is the change that is made, of those that are built
// together. An empty path is no change.
func (r *runner) run(number int, path string) (said, by string, err error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", "", err
	}
	for _, t := range r.tests {
		if path != "" && !strings.Contains(r.parts[t.pkg], dir+"\n") {
			continue
		}
		if out, err := r.build(t.pkg); err != nil {
			return broken, short(string(out)), nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.limit)
		cmd := exec.CommandContext(ctx, r.built[t.pkg], append([]string{"-test.failfast"}, t.args...)...)
		cmd.Dir, cmd.WaitDelay = t.pkg, 10*time.Second
		cmd.Env = append(os.Environ(), fmt.Sprintf("MUTATION=%d", number))
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			return found, whatFailed(out), nil
		}
	}
	return lives, "", nil
}

// whatFailed returns the first line of a test's output that tells of a failure, and its seed.
func whatFailed(out []byte) string {
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		for _, begins := range []string{"--- FAIL", "panic:", "fatal error:"} {
			if strings.HasPrefix(line, begins) {
				failed := short(line)
				if _, seed, ok := strings.Cut(string(out), ": seed "); ok {
					failed += " seed " + short(seed)
				}
				return failed
			}
		}
	}
	return ""
}
