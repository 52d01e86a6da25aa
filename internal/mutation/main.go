// Command mutation shows what the tests do not see: it changes one place of the program at a time, a condition negated, a
// comparison off by one, a call left out, and tells for which changes the tests still pass.
//
//	go run ./internal/mutation -n 100 . ./internal/engine
//
// The files stay as they are: a change is laid over one for the go command (go help build, -overlay). The same -seed draws
// the same changes. A change that passes is a test that is missing, or changes nothing; which of the two, a person decides.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The tests, the cheapest first. Most changes are found by a few seeds of the simulator.
const tests = "go test -c -vet=off -ldflags=-s {overlay} -o {dir}/ . && " +
	"{dir}/switchboard.test -test.failfast -test.run TestSimulation -seeds 50 -patience 30s && " +
	"{dir}/switchboard.test -test.failfast -test.short -test.skip TestSimulation -test.timeout 2m && " +
	"go test -vet=off -failfast -short -timeout 2m {overlay} ./internal/engine && " +
	"{dir}/switchboard.test -test.failfast -test.run TestSimulation -seeds 400 -patience 30s && " +
	"go test -vet=off -failfast {overlay} ./scenarios"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run() error {
	n := flag.Int("n", 100, "how many changes to draw")
	from := flag.Int("from", 1, "begin with this one of them")
	to := flag.Int("to", 0, "end with this one; 0: the last")
	seed := flag.Uint64("seed", 1, "which changes are drawn")
	only := flag.String("file", "", "change only files whose path contains this")
	test := flag.String("test", tests, "the tests: {overlay} is where the change goes in, {dir} a directory to build in; what passes the first goes on to the next")
	limit := flag.Duration("limit", 12*time.Minute, "a change with which one of them takes longer is found")
	skip := flag.String("skip", "", "leave out the changes with these numbers, such as 3,17")
	list := flag.Bool("list", false, "list the changes and try none")
	flag.Parse()
	if flag.NArg() == 0 {
		return errors.New("name the directories whose files to change, such as . and ./internal/engine")
	}
	var all []change
	for _, dir := range flag.Args() {
		changes, err := collect(dir)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if strings.Contains(c.path, *only) {
				all = append(all, c)
			}
		}
	}
	rand.New(rand.NewPCG(*seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(*n, len(all))]
	if *list {
		for i, c := range all {
			fmt.Printf("%3d %v\n", i+1, c)
		}
		return nil
	}
	first, last := max(*from, 1), min(cmp.Or(*to, len(all)), len(all))
	if first > last {
		return fmt.Errorf("there are %d changes, none from %d to %d", len(all), first, last)
	}
	var numbers []int
	for i := first; i <= last; i++ {
		if !slices.Contains(strings.Split(*skip, ","), strconv.Itoa(i)) {
			numbers = append(numbers, i)
		}
	}
	return try(all, numbers, strings.Split(*test, "&&"), *limit)
}

// try runs the tests with each of the changes that have these numbers, and prints what became of it.
func try(all []change, numbers []int, tests []string, limit time.Duration) error {
	dir, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, test := range tests {
		if out, err := runTests(dir, nil, test, limit); err != nil {
			return fmt.Errorf("the tests fail without any change: %w\n%s", err, out)
		}
	}
	found, lives, broken := 0, 0, 0
	for _, number := range numbers {
		c, begun := &all[number-1], time.Now()
		said, by := "", ""
		for at := 0; at < len(tests) && said == ""; at++ {
			switch out, err := runTests(dir, c, tests[at], limit); {
			case err == nil:
			case doesNotCompile(out, tests[at]):
				said = "does not compile"
				broken++
			default:
				said, by = "found", whatFailed(out)
				found++
			}
		}
		if said == "" {
			said = "LIVES"
			lives++
		}
		fmt.Printf("%3d/%d %-16s %5.1fs  %v  %s\n", number, len(all), said, time.Since(begun).Seconds(), c, by)
	}
	fmt.Printf("%d changes: %d found, %d live, %d do not compile\n", len(numbers), found, lives, broken)
	return nil
}

// doesNotCompile tells whether a test has failed before it could run.
func doesNotCompile(out []byte, test string) bool {
	return strings.HasPrefix(strings.TrimSpace(test), "go test -c ") ||
		bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]"))
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

// runTests runs the tests with a change laid over its file.
func runTests(dir string, c *change, test string, limit time.Duration) ([]byte, error) {
	overlay := ""
	if c != nil {
		original, err := filepath.Abs(c.path)
		if err != nil {
			return nil, err
		}
		changed := filepath.Join(dir, "changed.go")
		if err := os.WriteFile(changed, c.source, 0o644); err != nil {
			return nil, err
		}
		words, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(file, words, 0o644); err != nil {
			return nil, err
		}
		overlay = "-overlay=" + file
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var args []string
	for _, word := range strings.Fields(test) {
		if word == "{overlay}" {
			word = overlay
		}
		word = strings.ReplaceAll(word, "{dir}", dir)
		if word != "" {
			args = append(args, word)
		}
	}
	if len(args) == 0 {
		return nil, errors.New("-test is empty")
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = 10 * time.Second
	return cmd.CombinedOutput()
}
