//go:build linux

// Zmq measures Switchboard's zmtp beside go-zeromq/zmq4: a PUSH in one process sends small messages to a PULL in another, with
// each library in turn, round after round, the first of a round by chance.
//
//	cd compare
//	go run ./zmq                       # half a minute
//	go run ./zmq -rounds 3 -messages 100000
//
// What a message costs is the processor time of both processes, as the system counts it. It needs Linux.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// A plan is how much is measured.
type plan struct {
	rounds, size int
	messages     int // of each library in a round
}

func main() {
	p := plan{rounds: 9}
	flag.IntVar(&p.rounds, "rounds", p.rounds, "rounds of one run of each library")
	flag.IntVar(&p.messages, "messages", 200_000, "messages that a slow library moves in a round; a fast one moves ten times as many")
	flag.IntVar(&p.size, "size", 64, "bytes of a message")
	flag.Parse()
	if flag.Arg(0) == "play" && flag.NArg() == 6 {
		fail(play(flag.Args()[1:]))
		return
	}
	if flag.NArg() > 0 || p.rounds < 1 || p.messages < 1 || p.size < 1 {
		fail(fmt.Errorf("usage: go run ./zmq [-rounds n] [-messages n] [-size bytes], each at least 1"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := p.measure(ctx)
	fail(err)
	p.write(os.Stdout, r)
	m := bench.ThisMachine()
	fmt.Printf("%s, %d processors (%s), %s.\n", m.System, m.Processors, m.Processor, time.Now().UTC().Format("January 2006"))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "zmq:", err)
		os.Exit(1)
	}
}

// A result has the rates of all rounds, in messages a second of processor time, in the order of the libraries.
type result [][]float64

// measure lets the libraries move their messages.
func (p plan) measure(ctx context.Context) (result, error) {
	r := make(result, len(libraries))
	for range p.rounds {
		for _, i := range rand.Perm(len(libraries)) {
			rate, err := p.move(ctx, libraries[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", libraries[i].name, err)
			}
			r[i] = append(r[i], rate)
		}
	}
	return r, nil
}

// move lets one library move its messages between two processes, and returns the rate.
func (p plan) move(ctx context.Context, l library) (rate float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the processes if one of them fails
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	count := p.messages * l.pace
	process := func(role, address string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, self, "play", l.name, role, address, strconv.Itoa(p.size), strconv.Itoa(count))
		cmd.Stderr = os.Stderr
		return cmd
	}
	pull := process("pull", "tcp://127.0.0.1:0")
	out, err := pull.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := pull.Start(); err != nil {
		return 0, err
	}
	at, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cancel()
		pull.Wait()
		return 0, fmt.Errorf("the PULL did not tell where it is bound: %w", err)
	}
	push := process("push", strings.TrimSpace(at))
	if err := push.Run(); err != nil {
		cancel()
		pull.Wait()
		return 0, fmt.Errorf("the PUSH: %w", err)
	}
	if err := pull.Wait(); err != nil {
		return 0, fmt.Errorf("the PULL: %w", err)
	}
	var used time.Duration
	for _, cmd := range []*exec.Cmd{pull, push} {
		used += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if used == 0 {
		return 0, fmt.Errorf("%d messages took no processor time that the system counts: -messages must be larger", count)
	}
	return float64(count) / used.Seconds(), nil
}

// write prints the rates, and the ratio of the first library to each further one in the same rounds.
func (p plan) write(w io.Writer, r result) {
	fmt.Fprintf(w, "PUSH to PULL, %d B, messages a second of processor time of both sides; medians of %d rounds, in brackets the smallest\n"+
		"and the largest.\n\n", p.size, p.rounds)
	for i, l := range libraries {
		low, middle, high := spread(r[i])
		fmt.Fprintf(w, "%s: %.0f (%.0f to %.0f)\n", strings.TrimSpace(l.name+" "+version(l.path)), middle, low, high)
	}
	for i, l := range libraries[1:] {
		ratios := make([]float64, p.rounds)
		for round := range ratios {
			ratios[round] = r[0][round] / r[i+1][round]
		}
		low, middle, high := spread(ratios)
		fmt.Fprintf(w, "%s to %s: × %.1f (%.1f to %.1f)\n", libraries[0].name, l.name, middle, low, high)
	}
}

// spread returns the smallest value, the median and the largest value.
func spread(values []float64) (low, middle, high float64) {
	v := slices.Sorted(slices.Values(values))
	return v[0], (v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[len(v)-1]
}
