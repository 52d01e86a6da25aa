package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/admin"
	"github.com/switchboard-go/switchboard/internal/bench/report"
	"github.com/switchboard-go/switchboard/internal/classic"
	"github.com/switchboard-go/switchboard/internal/systemd"
	"github.com/switchboard-go/switchboard/zmtp"
)

// encrypted says of counts of bytes that they are those on the wire, of TLS's records.
const encrypted = "encrypted"

// figures are what serve tells of itself: at SIGUSR1, at its end and, on a terminal, all the while.
type figures struct {
	began  time.Time
	list   func() []any  // for the log; nil: nothing is served yet
	line   func() string // for the terminal; nil: none
	reload func()        // reads again what can be; nil: there is nothing
	await  func()        // waits until every loop has had a turn; nil: there are no loops
	status *statusLine   // nil unless standard error is a terminal

	collector *collector       // nil: it is not ours to set
	manager   *systemd.Manager // nil: nobody wants to know
}

// ofLoops has the figures be those of event loops: of a server, and of others that serve with it.
func (f *figures) ofLoops(server *switchboard.Server, others ...admin.Server) {
	f.began = time.Now()
	all := func() switchboard.Stats {
		st := server.Stats()
		for _, o := range others {
			more := o.Server.Stats()
			st.Active += more.Active
			st.Accepted += more.Accepted
			st.Refused += more.Refused
			st.Dialled += more.Dialled
			st.Handshakes += more.Handshakes
			st.BytesIn += more.BytesIn
			st.BytesOut += more.BytesOut
		}
		return st
	}
	f.list = func() []any {
		st := all()
		list := []any{"clients", st.Active, "connections", st.Accepted, "refused", st.Refused}
		if st.Dialled > 0 {
			list = append(list, "dialled", st.Dialled)
		}
		if server.TLSConfig != nil {
			list = append(list, "handshakes", st.Handshakes)
		}
		list = append(list, "received", st.BytesIn, "sent", st.BytesOut)
		if server.TLSConfig != nil {
			list = append(list, "bytes", encrypted)
		}
		return append(list, "engine", st.Engine)
	}
	f.line = func() string {
		st := all()
		return fmt.Sprintf("%s clients, %s connections, %s received, %s sent", report.Count(st.Active), report.Count(st.Accepted),
			report.Size(float64(st.BytesIn)), report.Size(float64(st.BytesOut)))
	}
	f.reload = reloading(server.TLSConfig)
	f.await = func() { awaitTurns(server) }
}

// ofClassic has the figures be those of a classic server.
func (f *figures) ofClassic(server *classic.Server) {
	f.began = time.Now()
	f.list = func() []any {
		st := server.Stats()
		return []any{"clients", st.Active, "connections", st.Active + st.Served, "received", st.Received, "sent", st.Sent}
	}
	f.line = func() string {
		st := server.Stats()
		return fmt.Sprintf("%s clients, %s connections", report.Count(st.Active), report.Count(st.Active+st.Served))
	}
}

// ofSockets has the figures be those of ZeroMQ's sockets.
func (f *figures) ofSockets(sockets ...*zmtp.Socket) {
	f.began = time.Now()
	f.list = func() (list []any) {
		for _, s := range sockets {
			st := s.Stats()
			list = append(list, slog.Group(s.Type().String(), "received", st.Received, "sent", st.Sent, "dropped", st.Dropped, "lost", st.Lost,
				"evicted", st.Evicted))
		}
		return list
	}
}

// reloading returns what reads changed certificates at once, nil without any. They are looked at during handshakes, at most
// once a second: a handshake of nobody's is made for that, and another one a second later, should it have been too early.
func reloading(config *tls.Config) func() {
	if config == nil {
		return nil
	}
	look := func() {
		hello := &tls.ClientHelloInfo{}
		if config.GetCertificate != nil {
			config.GetCertificate(hello)
		}
		if config.GetConfigForClient != nil {
			config.GetConfigForClient(hello)
		}
	}
	return func() {
		look()
		time.AfterFunc(1100*time.Millisecond, look)
	}
}

// tell logs the figures.
func (f *figures) tell(log *slog.Logger, what string) {
	if f.list == nil {
		return
	}
	log.Info(what, append(append(f.list(), f.collector.figures()...), "lasted", time.Since(f.began).Round(time.Millisecond))...)
}

// summarise logs the figures for the last time.
func (f *figures) summarise(log *slog.Logger) {
	if f.status != nil {
		f.status.end()
	}
	f.tell(log, "served")
}

// standardError is where the log goes: on a terminal, above a line that tells how many clients there are.
func (s *serving) standardError() io.Writer {
	if s.quiet || s.worker || s.log != "text" || runtime.GOOS == "windows" || !isTerminal(os.Stderr) {
		return os.Stderr
	}
	s.figures.status = &statusLine{out: os.Stderr, text: func() string {
		if s.figures.line == nil {
			return ""
		}
		return s.figures.line()
	}}
	return s.figures.status
}

// A statusLine is the last line of a terminal, which is kept current. What is written to it comes above.
type statusLine struct {
	out  io.Writer
	text func() string

	mu    sync.Mutex
	shown string
	ended chan struct{} // nil until run
}

const (
	eraseLine = "\r\x1b[K"
	refresh   = time.Second // of the line
)

// Write implements io.Writer. p is whole lines.
func (l *statusLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := p
	if l.shown != "" {
		text = append(append([]byte(eraseLine), p...), l.shown...)
	}
	if _, err := l.out.Write(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// begin shows the line, until end.
func (l *statusLine) begin() {
	l.ended = make(chan struct{})
	go func() {
		ticks := time.NewTicker(refresh)
		defer ticks.Stop()
		for {
			l.show(l.text())
			select {
			case <-ticks.C:
			case <-l.ended:
				l.show("")
				close(l.ended)
				return
			}
		}
	}()
}

// show replaces the line.
func (l *statusLine) show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text != l.shown {
		l.shown = text
		io.WriteString(l.out, eraseLine+text)
	}
}

// end takes the line away.
func (l *statusLine) end() {
	if l.ended != nil {
		l.ended <- struct{}{}
		<-l.ended
	}
}

// durationsWithUnits has a log in JSON say 1.5s, and not 1500000000.
func durationsWithUnits(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
