// Command mutation shows what the tests do not see: it changes one place of the program at a time, a condition negated, a
// comparison off by one, a call left out, and tells for which changes the tests still pass.
//
//	go run ./internal/mutation -n 100 . ./internal/engine
//
// The files stay as they are: changes are laid over them for the go command (go help build, -overlay), and most of them are in one
// program (guard.go). The same -seed draws the same changes. A change that passes is a test that is missing, or changes nothing; which of the two, a person decides.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The tests, the cheapest first: of each the package, and what its test binary is told. Most changes are found by a few seeds of
// the simulator.
const tests = ". -test.run TestSimulation -seeds 50 -patience 30s && " +
	". -test.short -test.skip TestSimulation -test.timeout 2m && " +
	"./internal/engine -test.short -test.timeout 2m && " +
	". -test.run TestSimulation -seeds 400 -patience 30s && " +
	"./scenarios -test.timeout 10m"

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
	test := flag.String("test", tests, "the tests, each a package and what its test binary is told; what passes the first goes on to the next")
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
	r, err := newRunner(*test, *limit)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	return r.try(all, numbers)
}

// try runs the tests with each of the changes that have these numbers, and prints what became of it.
func (r *runner) try(all []change, numbers []int) error {
	switch said, by, err := r.run(0, ""); {
	case err != nil:
		return err
	case said != lives:
		return fmt.Errorf("the tests fail without any change: %s %s", said, by)
	}
	counts := make(map[string]int)
	tell := func(n int) error {
		begun := time.Now()
		said, by, err := r.run(n, all[n-1].path)
		if err != nil {
			return err
		}
		counts[said]++
		fmt.Printf("%3d/%d %-16s %5.1fs  %v  %s\n", n, len(all), said, time.Since(begun).Seconds(), &all[n-1], by)
		return nil
	}
	left := numbers
	for {
		chosen, err := r.together(all, left)
		if err != nil {
			return err
		}
		for _, n := range chosen {
			if err := tell(n); err != nil {
				return err
			}
		}
		if len(chosen) == 0 {
			break
		}
		left = slices.DeleteFunc(slices.Clone(left), func(n int) bool { return slices.Contains(chosen, n) })
	}
	for _, n := range left {
		c := &all[n-1]
		if err := r.lay(map[string][]byte{c.path: c.source}); err != nil {
			return err
		}
		if err := tell(n); err != nil {
			return err
		}
	}
	fmt.Printf("%d changes: %d found, %d live, %d do not compile\n", len(numbers), counts[found], counts[lives], counts[broken])
	return nil
}
