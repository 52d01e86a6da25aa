package admin

import (
	"runtime/debug"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/metrics"
)

// A Frame is what viewers are told once a second, as JSON. Counts are since the servers began: who wants rates subtracts the
// frame before.
type Frame struct {
	Time    int64   `json:"time"`   // milliseconds since 1970
	Uptime  float64 `json:"uptime"` // seconds
	Service string  `json:"service"`
	Version string  `json:"version"`
	Engine  string  `json:"engine"`
	Unready string  `json:"unready,omitempty"` // why new connections are not welcome
	Write   bool    `json:"write"`             // changes are allowed
	Level   string  `json:"level"`             // of the log

	Conns     Conns      `json:"conns"`
	Listeners []Listener `json:"listeners"`
	Accepted  int64      `json:"accepted"`
	Refused   int64      `json:"refused"`
	Dialled   int64      `json:"dialled"`
	Closed    Closed     `json:"closed"`
	Truncated int64      `json:"truncated"`

	Received int64  `json:"received"` // bytes
	Sent     int64  `json:"sent"`     // bytes
	Messages int64  `json:"messages"`
	Queued   int64  `json:"queued"` // bytes
	Waiting  int64  `json:"waiting"`
	Held     int64  `json:"held"` // bytes that connections hold
	Limit    int64  `json:"limit"`
	Paused   Paused `json:"paused"`
	Slow     int64  `json:"slow"`

	Handshakes        int64 `json:"handshakes"`
	HandshakeFailures int64 `json:"handshake_failures"`

	Turns []int64 `json:"turns"` // buckets of switchboard.Histogram
	Calls []int64 `json:"calls"`
	Loops []Loop  `json:"loops"`

	Process Process `json:"process"`
}

// Conns are connections by state.
type Conns struct {
	Connecting  int64 `json:"connecting"`
	Handshaking int64 `json:"handshaking"`
	Open        int64 `json:"open"`
	Closing     int64 `json:"closing"`
}

// Total returns how many connections there are.
func (c Conns) Total() int64 { return c.Connecting + c.Handshaking + c.Open + c.Closing }

// A Listener is one of those of the servers.
type Listener struct {
	Addr     string `json:"addr"`
	Conns    Conns  `json:"conns"`
	Accepted int64  `json:"accepted"`
	Refused  int64  `json:"refused"`
	State    string `json:"state"` // accepting, full, no descriptors, closed
}

// Closed are connections that have ended, by reason.
type Closed struct {
	Orderly int64 `json:"orderly"`
	Idle    int64 `json:"idle"`
	Stalled int64 `json:"stalled"`
	Panic   int64 `json:"panic"`
	Invalid int64 `json:"invalid"`
	Reset   int64 `json:"reset"`
	Aborted int64 `json:"aborted"`
	Memory  int64 `json:"memory"`
	Piped   int64 `json:"piped"`
	Failed  int64 `json:"failed"`
}

// Paused are connections that are not read now, by reason.
type Paused struct {
	Handler int64 `json:"handler"`
	Output  int64 `json:"output"`
	Input   int64 `json:"input"`
	Memory  int64 `json:"memory"`
}

// Total returns how many there are.
func (p Paused) Total() int64 { return p.Handler + p.Output + p.Input + p.Memory }

// A Loop is one event loop.
type Loop struct {
	Server   string  `json:"server,omitempty"`
	Conns    int64   `json:"conns"`
	Messages int64   `json:"messages"`
	Busy     float64 `json:"busy"` // seconds
}

// Process are the figures of the process.
type Process struct {
	CPU            float64 `json:"cpu"` // seconds
	Resident       int64   `json:"resident"`
	Heap           int64   `json:"heap"`
	Descriptors    int     `json:"descriptors"`
	MaxDescriptors int     `json:"max_descriptors"`
	Goroutines     int     `json:"goroutines"`
	Collections    int64   `json:"collections"`
}

// version is that of the program.
var version = func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}()

// frame returns the figures of now.
func (a *Admin) frame() *Frame {
	p := metrics.ReadProcess()
	f := &Frame{
		Time: time.Now().UnixMilli(), Uptime: time.Since(a.began).Seconds(), Service: a.config.Service, Version: version,
		Unready: a.unready(), Write: a.config.Write, Listeners: []Listener{}, Loops: []Loop{},
		Process: Process{p.CPU.Seconds(), p.Resident, p.Heap, p.Descriptors, p.MaxDescriptors, p.Goroutines, p.Collections},
	}
	if a.config.Level != nil {
		f.Level = a.config.Level.Level().String()
	}
	for _, s := range a.config.Servers {
		name := ""
		if len(a.config.Servers) > 1 {
			name = s.Name
		}
		st := s.Stats()
		f.add(name, &st)
		f.Limit += s.MemoryLimit
	}
	return f
}

// add adds the figures of a server.
func (f *Frame) add(name string, st *switchboard.Stats) {
	f.Engine = st.Engine
	for _, o := range st.Origins {
		n := Conns{o.Conns.Connecting, o.Conns.Handshaking, o.Conns.Open, o.Conns.Closing}
		f.Conns.Connecting += n.Connecting
		f.Conns.Handshaking += n.Handshaking
		f.Conns.Open += n.Open
		f.Conns.Closing += n.Closing
		if o.Addr == nil {
			continue
		}
		l := Listener{o.Addr.String(), n, o.Accepted, o.Refused, "accepting"}
		switch {
		case !o.Accepting:
			l.State = "closed"
		case o.Short:
			l.State = "no descriptors"
		case o.Full:
			l.State = "full"
		}
		f.Listeners = append(f.Listeners, l)
	}
	f.Accepted += st.Accepted
	f.Refused += st.Refused
	f.Dialled += st.Dialled
	c, e := &f.Closed, &st.Ends
	c.Orderly += e.Orderly
	c.Idle += e.Idle
	c.Stalled += e.Stalled
	c.Panic += e.Panics
	c.Invalid += e.Invalid
	c.Reset += e.Reset
	c.Aborted += e.Aborted
	c.Memory += e.Memory
	c.Piped += e.Piped
	c.Failed += e.Failed
	f.Truncated += e.Truncated
	f.Received += st.BytesIn
	f.Sent += st.BytesOut
	f.Messages += st.Messages
	f.Queued += st.Queued
	f.Waiting += st.Waiting
	f.Held += st.Memory
	f.Paused.Handler += st.Paused.Handler
	f.Paused.Output += st.Paused.Output
	f.Paused.Input += st.Paused.Input
	f.Paused.Memory += st.Paused.Memory
	f.Slow += st.Slow
	f.Handshakes += st.Handshakes
	f.HandshakeFailures += st.HandshakeFailures
	f.Turns = addBuckets(f.Turns, st.Turns)
	f.Calls = addBuckets(f.Calls, st.Calls)
	for i := range st.Loops {
		l := &st.Loops[i]
		f.Loops = append(f.Loops, Loop{name, l.Active, l.Messages, l.Busy.Seconds()})
	}
}

func addBuckets(all []int64, h *switchboard.Histogram) []int64 {
	if h == nil {
		return all
	}
	if all == nil {
		all = make([]int64, len(h.Buckets))
	}
	for i, n := range h.Buckets {
		all[i] += n
	}
	return all
}
