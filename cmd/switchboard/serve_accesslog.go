package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/accesslog"
	"github.com/switchboard-go/switchboard/internal/quote"
)

// accessLogFlags ask for an access log on standard output.
type accessLogFlags struct {
	form   string // text, json, off
	sample int

	text string // what the form for people is called
}

// accessFlushTime is how long the end waits for who reads the access log.
const accessFlushTime = time.Second

// addTo adds the flags to a command whose access log has a line for each of what.
func (f *accessLogFlags) addTo(cmd *cobra.Command, what, text string) {
	f.text = text
	forms := []string{text, "json", "off"}
	flags := cmd.Flags()
	flags.StringVar(&f.form, "access-log", "off", fmt.Sprintf("log %s to standard output: %s, json, off", what, text))
	flags.IntVar(&f.sample, "access-sample", 1, fmt.Sprintf("log one of this many %s, and all that failed", what))
	cmd.RegisterFlagCompletionFunc("access-log", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
}

func (f *accessLogFlags) on() bool { return f.form != "off" }

func (f *accessLogFlags) check() error {
	switch {
	case f.form != f.text && f.form != "json" && f.on():
		return fmt.Errorf("unknown --access-log %q: there are %s, json and off", f.form, f.text)
	case f.sample < 1:
		return fmt.Errorf("--access-sample %d: one in so many, at least 1", f.sample)
	case f.sample > 1 && !f.on():
		return errors.New("--access-sample needs --access-log")
	}
	return nil
}

// open begins to write the access log.
func (f *accessLogFlags) open(log *slog.Logger) *accesslog.Writer {
	return accesslog.New(os.Stdout, func(lost int, err error) {
		if err == nil {
			err = errors.New("nobody reads it fast enough")
		}
		log.Warn("lines of the access log are lost", "lines", lost, "reason", err)
	})
}

// connections returns what writes a line for a connection that has ended. target tells whom it was joined with, and whether it is
// a client.
func (f *accessLogFlags) connections(out io.Writer, target func(*switchboard.Conn) (string, bool)) func(*switchboard.Conn, error) {
	sample := accesslog.Sample(f.sample)
	return func(c *switchboard.Conn, err error) {
		joined, isClient := target(c)
		if !isClient && c.Origin() == nil {
			return // one of the proxy's own
		}
		every := sample.Every()
		if !sample.Take() {
			if err == nil {
				return
			}
			every = 1
		}
		line := connectionLine{Time: time.Now().Add(-c.Age()), Peer: c.RemoteAddr().String(), Target: joined,
			Received: c.Received(), Sent: c.Sent(), Seconds: c.Age().Seconds(), Connections: every}
		if at := c.Origin(); at != nil {
			line.Listener = at.String()
		}
		if err != nil {
			line.Error = quote.Error(err)
		}
		out.Write(line.encode(f.form == "json"))
	}
}

// A connectionLine is what the access log says of a connection.
type connectionLine struct {
	Time        time.Time `json:"time"` // when it began
	Peer        string    `json:"peer"`
	Listener    string    `json:"listener,omitempty"` // empty: another process has accepted it
	Target      string    `json:"target,omitempty"`   // empty: none has answered
	Received    int64     `json:"received"`
	Sent        int64     `json:"sent"`
	Seconds     float64   `json:"seconds"`
	Error       string    `json:"error,omitempty"`       // why it did not end in order
	Connections int       `json:"connections,omitempty"` // that the line stands for, left out if it is 1
}

func (l connectionLine) encode(asJSON bool) []byte {
	if asJSON {
		if l.Connections == 1 {
			l.Connections = 0
		}
		b, err := json.Marshal(l)
		if err != nil {
			panic(err) // there is nothing in it that JSON does not know
		}
		return append(b, '\n')
	}
	or := func(s string) string {
		if s == "" || s == "@" {
			return "-" // a Unix socket without a name, or nobody
		}
		return quote.Line(s)
	}
	why := "ok"
	if l.Error != "" {
		why = strconv.Quote(l.Error)
	}
	return fmt.Appendf(nil, "%s %s %s %s %d %d %.3f %s\n", l.Time.Format("2006-01-02T15:04:05.000Z07:00"), or(l.Peer), or(l.Listener), or(l.Target),
		l.Received, l.Sent, l.Seconds, why)
}

// alsoEnded returns a Trace that tells ended as well of connections that have ended or were refused.
func alsoEnded(before *switchboard.Trace, ended func(*switchboard.Conn, error)) *switchboard.Trace {
	trace := switchboard.Trace{}
	if before != nil {
		trace = *before
	}
	closed, refused := trace.Closed, trace.Refused
	trace.Closed = func(c *switchboard.Conn, err error) {
		if closed != nil {
			closed(c, err)
		}
		ended(c, err)
	}
	trace.Refused = func(c *switchboard.Conn, err error) {
		if refused != nil {
			refused(c, err)
		}
		ended(c, err)
	}
	return &trace
}
