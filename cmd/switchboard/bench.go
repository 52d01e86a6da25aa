package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/report"
	"github.com/switchboard-go/switchboard/internal/bench/view"
)

// A benching is what the flags of bench ask for.
type benching struct {
	cfg     bench.Config
	size    string
	payload string
	expect  string
	sources []string
	pid     string
	json    bool
	html    string
	quiet   bool
	tls     clientTLS
	ws      clientWebSocket
	wait    time.Duration
	body    string
	failIf  []string
	limits  []limit // of failIf
	hdr     string
}

func benchCommand() *cobra.Command {
	var b benching
	cmd := &cobra.Command{
		Use:   "bench ADDRESS",
		Short: "Send load to a server, check its answers and measure it",
		Long: `Send load to the server at HOST:PORT, tls://HOST:PORT, unix:PATH or unix:@NAME, check every byte of its answers, and measure it.

Without --rate the next message is sent when an answer has come (a closed loop): this measures the capacity of the server. With --rate
messages are sent on a schedule, regardless of answers (an open loop). Latency then counts from the scheduled time, so that it includes
the time for which a server stalls.

--expect says what the server answers:
  echo   the same bytes; each byte is compared
  line   a line for each line
  http   an HTTP/1.1 response for each request, made of --method and --path or of --payload
  none   nothing; received bytes are counted and dropped

http://HOST:PORT/PATH and https:// mean --expect http with that path. --header, --method and --body are for the request. At
ws://HOST:PORT/PATH and wss:// each message is a WebSocket message; --expect is echo, line or none.

--fail-if sets a condition for failure: a latency (p50, p90, p99, p99.9, p99.99, mean, min, max), rate, errors (a number, or a percentage
of the messages), lost or unanswered, then <, <=, > or >=, and a value. With --fail-if 'errors>…' a run with fewer errors succeeds.

For a server on this host the processor time and memory are measured too, if /proc shows them (see --pid).

Exit codes: 0 for success, 1 for any error (the report has each kind and its number) or a condition of --fail-if, 2 for wrong
arguments.`,
		Example: `  switchboard bench 127.0.0.1:7007
  switchboard bench --conns 1000 --size 16-4096 --depth 8 --duration 30s 127.0.0.1:7007
  switchboard bench --rate 5000 --html report.html unix:/tmp/echo.sock
  switchboard bench --conns 1000 ws://127.0.0.1:8080/
  switchboard bench --churn --tls-ca authority.pem tls://127.0.0.1:7443
  switchboard bench -n 10000 -c 100 http://127.0.0.1:8080/index.html
  switchboard bench --fail-if 'p99>5ms' --fail-if 'rate<10k' 127.0.0.1:7007
  switchboard bench -X POST -H 'Content-Type: application/json' --body @order.json http://127.0.0.1:8080/orders
  switchboard bench --json 127.0.0.1:7007 >result.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("needs one address, not %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: completeAddresses,
		RunE:              func(cmd *cobra.Command, args []string) error { return b.run(cmd, args[0]) },
	}
	b.addFlags(cmd.Flags())
	b.tls.addTo(cmd, "tls")
	b.ws.addTo(cmd)
	cmd.AddCommand(compareCommand(), diffCommand())
	cmd.RegisterFlagCompletionFunc("expect", cobra.FixedCompletions([]string{"echo", "none", "line", "http"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("pid", cobra.FixedCompletions([]string{"auto", "none"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (b *benching) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.IntVarP(&b.cfg.Conns, "conns", "c", 50, "number of connections that exchange messages")
	flags.StringVarP(&b.size, "size", "s", "64", "length of a message in `BYTES`, or a range: 16-4096")
	flags.Int64VarP(&b.cfg.Requests, "requests", "n", 0, "total number of messages, without a warm-up (0: send for --duration)")
	flags.IntVar(&b.cfg.Depth, "depth", 1, "messages in flight on each connection")
	flags.DurationVarP(&b.cfg.Duration, "duration", "d", 10*time.Second, "how long to measure")
	flags.DurationVar(&b.cfg.Warmup, "warmup", time.Second, "time of load before the measurement")
	flags.Float64VarP(&b.cfg.Rate, "rate", "r", 0, "messages per second over all connections (0: a closed loop)")
	flags.DurationVar(&b.cfg.Ramp, "ramp", 0, "time over which the connections are opened (0: as fast as possible)")
	flags.BoolVar(&b.cfg.Churn, "churn", false, "open a new connection for each exchange, and reset it afterwards")
	flags.IntVar(&b.cfg.Idle, "idle", 0, "number of further connections that exchange one message and are then idle")
	flags.StringVarP(&b.expect, "expect", "e", "echo", "what the server answers: echo, none, line, http")
	flags.StringVarP(&b.payload, "payload", "f", "", "send the content of `FILE` as each message (-: standard input)")
	flags.StringVar(&b.cfg.Path, "path", "/", "path of the requests of --expect http")
	flags.StringVarP(&b.cfg.Method, "method", "X", "", "`METHOD` of the requests of --expect http (default: GET, or POST with --body)")
	flags.StringVar(&b.body, "body", "", "body of the requests of --expect http: `TEXT`, or @FILE")
	flags.StringSliceVar(&b.sources, "source", nil, "local `ADDRESS` of the connections; may be repeated, for more connections than an address has ports")
	flags.DurationVarP(&b.wait, "timeout", "w", 0, "limit of the time to connect and, at the end, of the wait for answers (0: 5s and 1s)")
	flags.IntVar(&b.cfg.Loops, "loops", 0, "number of event loops (0: one for every two processors)")
	flags.StringVar(&b.pid, "pid", "auto", "process whose processor time and memory are measured: auto, none or its `NUMBER`")
	flags.BoolVar(&b.json, "json", false, "print the result as JSON")
	flags.StringVar(&b.html, "html", "", "write the report to `FILE` as an HTML page")
	flags.StringVar(&b.hdr, "hdr", "", "write the latencies to `FILE` as a table of HdrHistogram, in milliseconds")
	flags.StringArrayVar(&b.failIf, "fail-if", nil, "fail on a `CONDITION`: 'p99>5ms', 'rate<10k', 'errors>0.1%'; may be repeated")
	flags.BoolVarP(&b.quiet, "quiet", "q", false, "do not show progress")
}

func (b *benching) run(cmd *cobra.Command, target string) error {
	if err := b.configure(cmd.Flags(), target); err != nil {
		return err
	}
	page, err := newReport("--html", b.html)
	if err != nil {
		return failure{exitFailed, err}
	}
	defer page.close()
	table, err := newReport("--hdr", b.hdr)
	if err != nil {
		return failure{exitFailed, err}
	}
	defer table.close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second one ends the process
	shows := func() {}
	if !b.quiet {
		v := view.New(os.Stderr)
		b.cfg.Progress, shows = v.Show, v.Close
	}
	result, err := bench.Run(ctx, b.cfg)
	shows()
	if err != nil {
		return benchFailure(b.cfg.Address, b.tls.hinted(err))
	}
	result.Command, result.Version = os.Args, version()
	return b.show(result, page, table)
}

// show writes the reports that were asked for.
func (b *benching) show(result *bench.Result, page, table *reportFile) error {
	var err error
	if b.json {
		err = report.JSON(os.Stdout, result)
	} else {
		err = report.Text(os.Stdout, result)
	}
	if err == nil {
		err = page.write(func(w io.Writer) error { return report.HTML(w, result) })
	}
	if err == nil {
		err = table.write(func(w io.Writer) error { return report.HDR(w, result) })
	}
	if err != nil {
		return failure{exitFailed, err}
	}
	return b.verdict(result)
}

// verdict is an error if the run was not what was asked for.
func (b *benching) verdict(result *bench.Result) error {
	var missed []string
	tolerant := false
	for _, l := range b.limits {
		tolerant = tolerant || l.metric == "errors" && l.above()
		if text := l.missed(result); text != "" {
			missed = append(missed, text)
		}
	}
	switch {
	case len(missed) > 0:
		return failure{exitFailed, errors.New(strings.Join(missed, "; "))}
	case len(result.Errors) > 0 && !tolerant:
		return failure{exitFailed, fmt.Errorf("not all went well: %s", report.Errors(result))}
	}
	return nil
}

// configure turns what was typed into the run's settings.
func (b *benching) configure(flags *pflag.FlagSet, target string) error {
	target, err := b.byURL(flags, target)
	if err != nil {
		return err
	}
	to, err := b.destination(target)
	if err != nil {
		return err
	}
	for _, text := range b.failIf {
		l, err := parseLimit(text)
		if err != nil {
			return err
		}
		b.limits = append(b.limits, l)
	}
	if b.cfg.Requests > 0 {
		if !flags.Changed("warmup") {
			b.cfg.Warmup = 0
		}
		if !flags.Changed("duration") {
			b.cfg.Duration = 24 * time.Hour
		}
	}
	b.cfg.TLS = to.tls
	b.cfg.Address, b.cfg.Expect = to.name, bench.Expect(b.expect)
	b.cfg.OpenWait, b.cfg.LastWait = b.wait, b.wait
	if b.cfg.PID, err = parsePID(b.pid); err != nil {
		return err
	}
	for _, s := range b.sources {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("--source %q: not an IP address", s)
		}
		b.cfg.Sources = append(b.cfg.Sources, a)
	}
	switch http := b.cfg.Expect == bench.HTTP; {
	case flags.Changed("path") && !http:
		return errors.New("--path is for --expect http")
	case (flags.Changed("path") || flags.Changed("method") || flags.Changed("body")) && b.payload != "":
		return errors.New("--path, --method and --body make the request, and so does --payload: they exclude each other")
	case (flags.Changed("method") || flags.Changed("body")) && !http:
		return errors.New("--method and --body are for http://HOST:PORT/PATH and --expect http")
	case len(b.cfg.Header) > 0 && b.payload != "":
		return errors.New("--header and --payload exclude each other: the payload has its own header")
	case flags.Changed("size") && (http || b.payload != ""):
		return errors.New("--size: the request or payload has its own size")
	case http && b.payload == "":
	default:
		b.cfg.Path = ""
	}
	if b.cfg.Size, err = parseSizes(b.size); err != nil {
		return err
	}
	if file, ok := strings.CutPrefix(b.body, "@"); ok {
		if b.cfg.Body, err = readPayload("--body", file); err != nil {
			return failure{exitFailed, err}
		}
	} else {
		b.cfg.Body = []byte(b.body)
	}
	if b.payload != "" {
		if b.cfg.Payload, err = readPayload("--payload", b.payload); err != nil {
			return failure{exitFailed, err}
		}
	}
	return b.cfg.Check()
}

// destination finds out whom to load, and how to speak there.
func (b *benching) destination(target string) (destination, error) {
	if isWebSocket(target) {
		to, dialer, err := b.ws.parse(target, &b.tls)
		b.cfg.WebSocket = dialer
		return to, err
	}
	if b.expect == "http" {
		header, err := b.ws.httpHeader()
		if err != nil {
			return destination{}, err
		}
		b.cfg.Header = header
	} else if err := b.ws.refuse(); err != nil {
		return destination{}, err
	}
	destinations, err := b.tls.parse(target)
	if err != nil {
		return destination{}, err
	}
	return destinations[0], nil
}

func parsePID(s string) (int, error) {
	switch s {
	case "auto":
		return 0, nil
	case "none":
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("--pid %q: must be auto, none or the number of a process", s)
	}
	return n, nil
}

func parseSizes(s string) (r bench.Range, err error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	var least, most size
	if least.Set(low) != nil || most.Set(high) != nil {
		return r, fmt.Errorf("--size %q: not a number of bytes (64, 16k) or a range (16-4096)", s)
	}
	return bench.Range{Min: int(least), Max: int(most)}, nil
}

// readPayload reads a message from the file that a flag names. It may have bench.MaxSize bytes.
func readPayload(flag, name string) ([]byte, error) {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		defer f.Close()
		in = f
	}
	p, err := io.ReadAll(io.LimitReader(in, bench.MaxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", flag, err)
	case len(p) == 0:
		return nil, fmt.Errorf("%s: %s is empty", flag, in.Name())
	case len(p) > bench.MaxSize:
		return nil, fmt.Errorf("%s: %s has more than %d bytes", flag, in.Name(), bench.MaxSize)
	}
	return p, nil
}

// benchFailure adds to an error what a person can do.
func benchFailure(address string, err error) error {
	var call *os.SyscallError
	switch {
	case isOnly(err, syscall.ECONNREFUSED):
		err = fmt.Errorf("connect %s: %w (nothing listens there)", address, syscall.ECONNREFUSED)
	case errors.Is(err, syscall.EADDRNOTAVAIL) && errors.As(err, &call) && call.Syscall == "bind":
		err = fmt.Errorf("%w (--source: no interface of this machine has this address)", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = fmt.Errorf("%w (no port is free: name more addresses with --source)", err)
	}
	return failure{exitFailed, err}
}
