//go:build linux

// Perf compares zmtp with libzmq in the shapes of libzmq's own perf programs: each pair of processes runs in turn with each
// library, on the same processors.
//
//	go run ./zmtp/internal/perf            # all, some seconds each
//	go run ./zmtp/internal/perf push64 lat # some
//	ENGINE=uring go run ./zmtp/internal/perf push64k
//
// It needs a C compiler and libzmq's headers (libzmq3-dev).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 5, "paired rounds, of which the median is told")
	flag.Parse()
	if flag.NArg() == 4 && !strings.Contains(flag.Arg(0), "=") {
		if size, err := strconv.Atoi(flag.Arg(2)); err == nil {
			play(flag.Arg(0), flag.Arg(1), size, must(strconv.Atoi(flag.Arg(3))))
			return
		}
	}
	dir := must(os.MkdirTemp("", "perf"))
	defer os.RemoveAll(dir)
	b := bench{dir: dir, ours: must(os.Executable()), theirs: filepath.Join(dir, "libzmq"), rounds: *rounds}

	check(os.WriteFile(filepath.Join(dir, "libzmq.c"), cSource, 0o600))
	build := exec.Command("cc", "-O2", "-o", b.theirs, filepath.Join(dir, "libzmq.c"), "-lzmq")
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("cc: %v\n%s", err, out)
	}
	for _, c := range cases {
		if flag.NArg() == 0 || slices.Contains(flag.Args(), c.name) {
			c.run(&b)
		}
	}
}

type bench struct {
	dir, ours, theirs string
	rounds, port      int
}

// cases are what is compared.
var cases = []struct {
	name string
	run  func(*bench)
}{
	{"push64", func(b *bench) { b.throughput("PUSH to PULL, 64 B", "pull", 64, 2_000_000) }},
	{"handler64", func(b *bench) { b.throughput("PUSH to PULL with a handler, 64 B", "pull-handler", 64, 2_000_000) }},
	{"push64k", func(b *bench) { b.throughput("PUSH to PULL, 64 KiB", "pull", 64<<10, 30_000) }},
	{"handler64k", func(b *bench) { b.throughput("PUSH to PULL with a handler, 64 KiB", "pull-handler", 64<<10, 30_000) }},
	{"lat", func(b *bench) { b.latency() }},
	{"pub", func(b *bench) { b.fanOut() }},
	{"idle", func(b *bench) { b.idle() }},
}

// tcp returns a TCP address that is free now.
func (b *bench) tcp() string {
	b.port++
	return fmt.Sprintf("tcp://127.0.0.1:%d", 21000+(os.Getpid()*7+b.port)%9000)
}

// run runs processes to their ends, each on a processor of its own if pinned says so, and returns what the first printed
// and the processor time of each.
func (b *bench) run(env []string, pins []string, programs ...[]string) (out string, used []time.Duration) {
	var all []*exec.Cmd
	var first bytes.Buffer
	for i, p := range programs {
		args := p
		if pins != nil {
			args = append([]string{"taskset", "-c", pins[i]}, p...)
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), env...)
		cmd.Stderr = os.Stderr
		if i == 0 {
			cmd.Stdout = &first
		}
		check(cmd.Start())
		all = append(all, cmd)
	}
	for i, cmd := range all {
		if i > 0 && pins == nil && env != nil { // subscribers end with their publisher
			cmd.Process.Kill()
			cmd.Wait()
			continue
		}
		check(cmd.Wait())
		used = append(used, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	return strings.TrimSpace(first.String()), used
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func (b *bench) throughput(what, pull string, size, count int) {
	var ours, theirs, ratios []float64
	for range b.rounds {
		var rate [2]float64
		for i, program := range []string{b.ours, b.theirs} {
			role := pull
			if program == b.theirs {
				role = "pull"
			}
			a, s, n := b.tcp(), strconv.Itoa(size), strconv.Itoa(count)
			_, used := b.run(nil, nil, []string{program, role, a, s, n}, []string{program, "push", a, s, n})
			rate[i] = float64(count) / (used[0] + used[1]).Seconds()
		}
		ours, theirs, ratios = append(ours, rate[0]), append(theirs, rate[1]), append(ratios, rate[0]/rate[1])
	}
	fmt.Printf("%s: %.0f messages a second of processor time, libzmq %.0f: × %.2f\n", what, median(ours), median(theirs), median(ratios))
}

func (b *bench) latency() {
	var ours, theirs, ratios []float64
	for range b.rounds {
		var p50 [2]float64
		for i, program := range []string{b.ours, b.theirs} {
			a := b.tcp()
			out, _ := b.run(nil, nil, []string{program, "req", a, "64", "20000"}, []string{program, "rep", a, "64", "20000"})
			p50[i] = must(strconv.ParseFloat(out, 64))
		}
		ours, theirs, ratios = append(ours, p50[0]), append(theirs, p50[1]), append(ratios, p50[0]/p50[1])
	}
	fmt.Printf("REQ to REP, 64 B: p50 %.1f µs, libzmq %.1f µs: × %.2f\n", median(ours), median(theirs), median(ratios))
}

func (b *bench) fanOut() {
	const subs, count = 1000, 300
	var ours, theirs, ratios []float64
	for range b.rounds {
		var cost [2]float64
		for i, program := range []string{b.ours, b.theirs} {
			a := b.tcp()
			_, used := b.run([]string{"SUBS=" + strconv.Itoa(subs)}, []string{"0", "1"},
				[]string{program, "pub", a, "256", strconv.Itoa(count)}, []string{b.ours, "subs", a, "256", strconv.Itoa(count)})
			cost[i] = used[0].Seconds() / subs / count * 1e9
		}
		ours, theirs, ratios = append(ours, cost[0]), append(theirs, cost[1]), append(ratios, cost[0]/cost[1])
	}
	fmt.Printf("PUB to %d SUB, 256 B: %.0f ns a delivery, libzmq %.0f ns: × %.2f\n", subs, median(ours), median(theirs), median(ratios))
}

// idle tells two figures: what all took divided by their number, and what each further one took.
func (b *bench) idle() {
	const few, many = 2000, 10000
	var all, further [2]int
	for i, program := range []string{b.ours, b.theirs} {
		var took [2]int
		for k, subs := range []int{few, many} {
			a := b.tcp()
			out, _ := b.run([]string{"SUBS=" + strconv.Itoa(subs), "TOPICS=1"}, nil,
				[]string{program, "idle", a, "0", "0"}, []string{b.ours, "subs", a, "0", "0"})
			took[k] = must(strconv.Atoi(out))
		}
		all[i], further[i] = took[1]/many, (took[1]-took[0])/(many-few)
	}
	fmt.Printf("an idle SUB connection with a subscription of 32 B: %d bytes of %d, each further one %d; libzmq %d, %d\n",
		all[0], many, further[0], all[1], further[1])
}
