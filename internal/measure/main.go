// Measure runs the experiments behind the promises in docs/performance.md that need more than one load on one server.
// Each prints its figure, and ends with exit code 1 if the promise does not hold.
//
//	go run ./internal/measure idle         # what 15,000 idle connections cost 100 busy ones
//	go run ./internal/measure flood        # what one connection that floods costs 100 others
//	go run ./internal/measure slowreaders  # what 200 clients that read slowly cost a proxy in memory
//	go run ./internal/measure tls          # what TLS costs, beside a goroutine for each connection
//	go run ./internal/measure http         # what package web costs, beside net/http
//	go run ./internal/measure handshakes   # what a flood of TLS handshakes costs 100 established connections
//	go run ./internal/measure held         # what one connection of a stranger has a server hold
//	go run ./internal/measure handover     # what restarts under load cost clients
//	go run ./internal/measure shutdown     # what a server that is shut down under load loses
//
// A server that is measured is a process of its own: this program again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// An experiment measures something and tells whether the promise holds.
type experiment struct {
	about string
	flags func(flags *flag.FlagSet) (run func(ctx context.Context) (holds bool, err error))
}

var experiments = map[string]experiment{
	"idle":        {"what idle connections cost busy ones", idle},
	"flood":       {"what a connection that floods costs the others", flood},
	"slowreaders": {"what clients that read slowly cost a proxy in memory", slowReaders},
	"tls":         {"what TLS costs, beside a goroutine for each connection", costOfTLS},
	"http":        {"what package web costs, beside net/http", costOfHTTP},
	"held":        {"what one connection of a stranger has a server hold", held},
	"handshakes":  {"what a flood of TLS handshakes costs established connections", handshakes},
	"handover":    {"what restarts under load cost clients", handovers},
	"shutdown":    {"what a server that is shut down under load loses", shutdown},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		exit(serve(os.Args[2:]))
	}
	if len(os.Args) < 2 || experiments[os.Args[1]].flags == nil {
		fmt.Fprintln(os.Stderr, "usage: measure EXPERIMENT [flags]")
		for _, name := range []string{"idle", "flood", "slowreaders", "tls", "http", "handshakes", "held", "handover", "shutdown"} {
			fmt.Fprintf(os.Stderr, "  %-12s%s\n", name, experiments[name].about)
		}
		os.Exit(2)
	}
	flags := flag.NewFlagSet("measure "+os.Args[1], flag.ExitOnError)
	run := experiments[os.Args[1]].flags(flags)
	flags.Parse(os.Args[2:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	holds, err := run(ctx)
	stop()
	exit(err)
	if !holds {
		fmt.Println("the promise does not hold")
		os.Exit(1)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}
