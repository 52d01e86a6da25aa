// Compare measures Switchboard beside other libraries: the smallest honest server on each, one after the other under the
// same load on the same machine, round after round in random order.
//
//	cd compare
//	go run .                    # some minutes; prints the tables of the README
//	go run . -rounds 5 -slice 100ms
//	go run . echo               # one table: echo, websocket or http
//	go run . serve echo/gnet 127.0.0.1:7007
//
// What a message costs is the processor time of the server's process. The figures are the medians of the ratios to the
// first server of a table in the same round, with the quartiles. It needs Linux, whose /proc tells what a process used.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/compare"
	"github.com/switchboard-go/switchboard/internal/bench/view"
)

// A server is one that is compared. Its serve does not return while all is well.
type server struct {
	name  string
	path  string // of its module; "std" is Go's own
	serve func(address string) error
}

const ours = "github.com/switchboard-go/switchboard"

// A table has the servers of one protocol. What the others cost is divided by what the first one costs.
type table struct {
	name    string
	title   string
	servers []server
	load    bench.Config
	columns []column
}

// A column is one load.
type column struct {
	title string
	conns int
	depth int // messages in flight on each connection
	size  int // bytes of a message
	churn bool
}

var tables = []table{
	{"echo", "Echo", streams, bench.Config{Expect: bench.Echo}, []column{
		{"64 B, 100 connections", 100, 1, 64, false},
		{"64 B, 1,000 connections", 1000, 1, 64, false},
		{"16 KiB, 50 connections", 50, 1, 16 << 10, false},
		{"connect, 64 B, end", 50, 1, 64, true},
	}},
	{"websocket", "WebSocket echo", websockets, bench.Config{Expect: bench.Echo, WebSocket: &bench.WebSocket{Path: "/"}}, []column{
		{"64 B, 100 connections", 100, 1, 64, false},
		{"64 B, 1,000 connections", 1000, 1, 64, false},
		{"64 B, 50 connections, 16 in flight", 50, 16, 64, false},
	}},
	{"http", "HTTP/1.1, keep-alive", https, bench.Config{Expect: bench.HTTP, Path: "/"}, []column{
		{"100 connections", 100, 1, 64, false},
		{"1,000 connections", 1000, 1, 64, false},
		{"50 connections, 16 pipelined", 50, 16, 64, false},
	}},
}

// A length is how much is measured.
type length struct {
	rounds        int
	slice, settle time.Duration // measured, and of load before that
	idle          int           // connections
}

func main() {
	var l length
	flag.IntVar(&l.rounds, "rounds", 15, "")
	flag.DurationVar(&l.slice, "slice", 400*time.Millisecond, "")
	flag.IntVar(&l.idle, "idle", 5000, "")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: compare [-rounds n] [-slice duration] [-idle connections] [echo|websocket|http ...]\n"+
			"       compare serve TABLE/NAME ADDRESS")
	}
	flag.Parse()
	if flag.Arg(0) == "serve" && flag.NArg() == 3 {
		fail(serve(flag.Arg(1), flag.Arg(2)))
		return
	}
	chosen := tables
	if flag.NArg() > 0 {
		chosen = nil
		for _, name := range flag.Args() {
			i := slices.IndexFunc(tables, func(t table) bool { return t.name == name })
			if i < 0 {
				fail(fmt.Errorf("there is no table %q: echo, websocket, http", name))
			}
			chosen = append(chosen, tables[i])
		}
	}
	l.settle = l.slice / 2
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, t := range chosen {
		steps := view.NewSteps(os.Stderr)
		rows, err := t.measure(ctx, l, steps.Show)
		steps.Close()
		fail(err)
		fail(t.write(os.Stdout, rows, l))
	}
	m := bench.ThisMachine()
	fmt.Printf("%s, %d processors (%s), slices of %v, the load from the same machine, %s.\n",
		m.System, m.Processors, m.Processor, l.slice, time.Now().UTC().Format("January 2006"))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// serve runs one of the servers in this process.
func serve(name, address string) error {
	kind, name, _ := strings.Cut(name, "/")
	for _, t := range tables {
		for _, s := range t.servers {
			if t.name == kind && s.name == name {
				return s.serve(address)
			}
		}
	}
	return fmt.Errorf("there is no server %s/%s", kind, name)
}

// candidate is this program serving one of the servers.
func (t table) candidate(s server) (compare.Candidate, error) {
	self, err := os.Executable()
	return compare.Candidate{Name: s.name, Command: func(port int) *exec.Cmd {
		return exec.Command(self, "serve", t.name+"/"+s.name, "127.0.0.1:"+strconv.Itoa(port))
	}}, err
}
