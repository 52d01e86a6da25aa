package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/bench/compare"
	"github.com/switchboard-go/switchboard/internal/bench/report"
	"github.com/switchboard-go/switchboard/internal/bench/view"
)

// A comparing is what the flags of bench compare ask for.
type comparing struct {
	plan    compare.Plan
	modes   []string
	against []string
	quick   bool
	json    bool
	html    string
	svg     string
	quiet   bool
}

func compareCommand() *cobra.Command {
	var c comparing
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare the architectures of serve, and other servers",
		Long: `Start the built-in echo service in each of its architectures, and other servers. Load one server at a time for a short slice, in
random order, for several rounds. Report the medians: processor time per message, messages per second, latency, and memory per idle
connection.

Other work on the machine affects all servers alike, so the ratios are more reliable than the figures.

--against takes a command that serves echo on port {port} of 127.0.0.1. NAME=COMMAND gives it a name.

compare stops every server that it has started. Exit codes: 0 if all servers could be compared, 1 otherwise, 2 for wrong arguments.`,
		Example: `  switchboard bench compare
  switchboard bench compare --quick --modes goroutines,epoll
  switchboard bench compare --html compare.html --against 'socat=socat TCP-LISTEN:{port},fork,reuseaddr PIPE'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Flags()) },
	}
	c.addFlags(cmd.Flags())
	cmd.RegisterFlagCompletionFunc("modes", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return architectures(), cobra.ShellCompDirectiveNoFileComp
	})
	cmd.RegisterFlagCompletionFunc("baseline", func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		names := slices.Clone(c.modes)
		for _, text := range c.against {
			if other, err := otherServer(text); err == nil {
				names = append(names, other.Name)
			}
		}
		slices.Sort(names)
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (c *comparing) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringSliceVarP(&c.modes, "modes", "m", usual(), "architectures to compare")
	flags.StringArrayVarP(&c.against, "against", "a", nil, "another server: a `COMMAND` with {port} in it; may be repeated")
	flags.IntSliceVarP(&c.plan.Conns, "conns", "c", []int{1, 10, 100, 1000, 5000}, "numbers of connections")
	flags.IntVarP(&c.plan.Size, "size", "s", 64, "length of a message in bytes")
	flags.IntVar(&c.plan.Depth, "depth", 1, "messages in flight on each connection")
	flags.IntVar(&c.plan.Rounds, "rounds", 7, "number of rounds; each server has a slice in each round")
	flags.DurationVar(&c.plan.Slice, "slice", 300*time.Millisecond, "time of a measurement")
	flags.DurationVar(&c.plan.Settle, "settle", 150*time.Millisecond, "time of load before each measurement")
	flags.IntVar(&c.plan.Idle, "idle", 5000, "number of idle connections for the memory measurement (0: none)")
	flags.StringVar(&c.plan.Baseline, "baseline", "goroutines", "server to which ratios refer")
	flags.BoolVar(&c.quick, "quick", false, "compare within seconds: --conns 1,10,100 --rounds 3 --slice 100ms --settle 50ms --idle 500, unless they are given")
	flags.BoolVar(&c.json, "json", false, "print the result as JSON")
	flags.StringVar(&c.html, "html", "", "write the comparison to `FILE` as an HTML page")
	flags.StringVar(&c.svg, "svg", "", "write its picture to `FILE`")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "do not show progress")
}

func (c *comparing) run(flags *pflag.FlagSet) error {
	if err := c.configure(flags); err != nil {
		return err
	}
	page, err := newReport("--html", c.html)
	if err != nil {
		return failure{exitFailed, err}
	}
	defer page.close()
	picture, err := newReport("--svg", c.svg)
	if err != nil {
		return failure{exitFailed, err}
	}
	defer picture.close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second one ends the process
	done := func() {}
	if !c.quiet {
		steps := view.NewSteps(os.Stderr)
		c.plan.Step = func(s compare.Step) { steps.Show(s.Done, s.All, s.What) }
		done = steps.Close
	}
	result, err := compare.Run(ctx, c.plan)
	done()
	if err != nil {
		return failure{exitFailed, err}
	}
	result.Command, result.Version = os.Args, version()
	if c.json {
		err = report.JSON(os.Stdout, result)
	} else {
		err = result.Text(os.Stdout)
	}
	if err = errors.Join(err, page.write(result.HTML), picture.write(result.SVG)); err != nil {
		return failure{exitFailed, err}
	}
	for _, s := range result.Servers {
		if s.Error != "" {
			return failure{exitFailed, fmt.Errorf("%s could not be compared: %s", s.Name, s.Error)}
		}
	}
	return nil
}

func (c *comparing) configure(flags *pflag.FlagSet) error {
	if c.quick {
		quick := map[string]func(){
			"conns":  func() { c.plan.Conns = []int{1, 10, 100} },
			"rounds": func() { c.plan.Rounds = 3 },
			"slice":  func() { c.plan.Slice = 100 * time.Millisecond },
			"settle": func() { c.plan.Settle = 50 * time.Millisecond },
			"idle":   func() { c.plan.Idle = 500 },
		}
		for name, set := range quick {
			if !flags.Changed(name) {
				set()
			}
		}
	}
	known := architectures()
	for _, mode := range c.modes {
		if !slices.Contains(known, mode) {
			return fmt.Errorf("--modes %q: on %s there are %s", mode, runtime.GOOS, strings.Join(known, ", "))
		}
		c.plan.Candidates = append(c.plan.Candidates, compare.Candidate{Name: mode, Command: ownServer(mode)})
	}
	for _, text := range c.against {
		candidate, err := otherServer(text)
		if err != nil {
			return err
		}
		c.plan.Candidates = append(c.plan.Candidates, candidate)
	}
	if flags.Changed("baseline") && !slices.ContainsFunc(c.plan.Candidates, func(o compare.Candidate) bool { return o.Name == c.plan.Baseline }) {
		var names []string
		for _, o := range c.plan.Candidates {
			names = append(names, o.Name)
		}
		return fmt.Errorf("--baseline %q: it is none of those that are compared: %s", c.plan.Baseline, strings.Join(names, ", "))
	}
	return c.plan.Check()
}

// architectures are those that serve has, the simplest first and the loop last, once for each engine that it can be told:
// loop/epoll.
func architectures() (names []string) {
	var loops []string
	for _, mode := range modeNames() {
		switch engines := engineNames(); {
		case mode == "loop" && len(engines) > 0:
			for _, engine := range engines {
				loops = append(loops, mode+"/"+engine)
			}
		default:
			names = append(names, mode)
		}
	}
	return append(names, loops...)
}

// usual are the architectures that one would choose from: no loop on what only stands in for a better engine.
func usual() []string {
	return slices.DeleteFunc(architectures(), func(name string) bool { return name == "loop/poll" || name == "loop/select" })
}

// engineNames asks serve what can follow its --engine.
func engineNames() (names []string) {
	serve := serveCommand(new(serving))
	complete, ok := serve.GetFlagCompletionFunc("engine")
	if !ok {
		return nil
	}
	found, _ := complete(serve, nil, "")
	for _, name := range found {
		if name, _, _ = strings.Cut(name, "\t"); name != "auto" {
			names = append(names, name)
		}
	}
	return names
}

// ownServer makes the commands that run serve in an architecture.
func ownServer(architecture string) func(port int) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	mode, engine, hasEngine := strings.Cut(architecture, "/")
	return func(port int) *exec.Cmd {
		args := []string{"serve", "echo", "--quiet", "--mode", mode, "--listen", "127.0.0.1:" + strconv.Itoa(port)}
		if hasEngine {
			args = append(args, "--engine", engine)
		}
		return exec.Command(self, args...)
	}
}

// otherServer reads what --against was given: NAME=COMMAND or COMMAND, which then is its own name.
func otherServer(text string) (compare.Candidate, error) {
	name, command, ok := strings.Cut(text, "=")
	if !ok || name == "" || strings.ContainsAny(name, " /{") {
		command = text
		name = filepath.Base(strings.Fields(text + " ?")[0])
	}
	if !strings.Contains(command, "{port}") {
		return compare.Candidate{}, fmt.Errorf("--against %q: there is no {port} in it for the port to listen on", text)
	}
	return compare.Candidate{Name: name, Command: func(port int) *exec.Cmd {
		line := strings.ReplaceAll(command, "{port}", strconv.Itoa(port))
		if runtime.GOOS == "windows" {
			return exec.Command("cmd", "/c", line)
		}
		return exec.Command("sh", "-c", line)
	}}, nil
}
