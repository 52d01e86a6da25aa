// Package opentelemetry passes the figures of a switchboard.Server on to OpenTelemetry. It is an example, and a module of its
// own, so that nobody else needs OpenTelemetry: copy it, and add what you want to see.
package opentelemetry

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/switchboard-go/switchboard"
)

// Register has meter observe the figures of s whenever they are collected, until the registration is ended. No attribute grows
// with connections.
//
// OpenTelemetry has no histograms that are observed. Of turns and calls it gets the count and the sum of seconds, whose quotient
// is the mean; package metrics has the buckets.
func Register(meter metric.Meter, s *switchboard.Server) (metric.Registration, error) {
	m := &instruments{meter: meter}
	connections := m.gauge("switchboard.connections", "{connection}", "Connections now, by listener and state.")
	closed := m.counter("switchboard.closed", "{connection}", "Connections that have ended, by reason.")
	accepted := m.counter("switchboard.accepted", "{connection}", "Connections taken from a listener.")
	received := m.counter("switchboard.received", "By", "Bytes received.")
	sent := m.counter("switchboard.sent", "By", "Bytes handed to the system to be sent.")
	messages := m.counter("switchboard.messages", "{message}", "Calls of handlers with input.")
	queued := m.gauge("switchboard.queued", "By", "Bytes that wait to be sent.")
	paused := m.gauge("switchboard.paused", "{connection}", "Connections that are not read now, by reason.")
	handshakes := m.counter("switchboard.tls.handshakes", "{handshake}", "TLS handshakes, by outcome.")
	busy := m.seconds("switchboard.loop.busy", "Time that a loop has worked and not waited.")
	turns := m.counter("switchboard.turns", "{turn}", "Turns of the loops.")
	turnTime := m.seconds("switchboard.turns.time", "How long turns of the loops took together.")
	if m.err != nil {
		return nil, m.err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		st := s.Stats()
		with := func(pairs ...string) metric.ObserveOption {
			var all []attribute.KeyValue
			for i := 0; i < len(pairs); i += 2 {
				all = append(all, attribute.String(pairs[i], pairs[i+1]))
			}
			return metric.WithAttributes(all...)
		}
		for _, from := range st.Origins {
			listener := "dialled"
			if from.Addr != nil {
				listener = from.Addr.String()
				o.ObserveInt64(accepted, from.Accepted, with("listener", listener))
			}
			o.ObserveInt64(connections, from.Conns.Connecting, with("listener", listener, "state", "connecting"))
			o.ObserveInt64(connections, from.Conns.Handshaking, with("listener", listener, "state", "handshaking"))
			o.ObserveInt64(connections, from.Conns.Open, with("listener", listener, "state", "open"))
			o.ObserveInt64(connections, from.Conns.Closing, with("listener", listener, "state", "closing"))
		}
		for reason, n := range map[string]int64{"orderly": st.Ends.Orderly, "idle": st.Ends.Idle, "stalled": st.Ends.Stalled,
			"panic": st.Ends.Panics, "invalid": st.Ends.Invalid, "reset": st.Ends.Reset, "aborted": st.Ends.Aborted,
			"memory": st.Ends.Memory, "piped": st.Ends.Piped, "failed": st.Ends.Failed} {
			o.ObserveInt64(closed, n, with("reason", reason))
		}
		o.ObserveInt64(received, st.BytesIn)
		o.ObserveInt64(sent, st.BytesOut)
		o.ObserveInt64(messages, st.Messages)
		o.ObserveInt64(queued, st.Queued)
		o.ObserveInt64(paused, st.Paused.Handler, with("reason", "handler"))
		o.ObserveInt64(paused, st.Paused.Output, with("reason", "output"))
		o.ObserveInt64(paused, st.Paused.Input, with("reason", "input"))
		o.ObserveInt64(paused, st.Paused.Memory, with("reason", "memory"))
		o.ObserveInt64(handshakes, st.Handshakes, with("outcome", "succeeded"))
		o.ObserveInt64(handshakes, st.HandshakeFailures, with("outcome", "failed"))
		for i, l := range st.Loops {
			o.ObserveFloat64(busy, l.Busy.Seconds(), with("loop", strconv.Itoa(i)))
		}
		if st.Turns != nil {
			o.ObserveInt64(turns, st.Turns.Count())
			o.ObserveFloat64(turnTime, st.Turns.Sum.Seconds())
		}
		return nil
	}, m.all...)
}

// instruments makes instruments, and remembers the first error.
type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

func (m *instruments) counter(name, unit, about string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.made(c, err)
	return c
}

func (m *instruments) gauge(name, unit, about string) metric.Int64ObservableUpDownCounter {
	g, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.made(g, err)
	return g
}

func (m *instruments) seconds(name, about string) metric.Float64ObservableCounter {
	c, err := m.meter.Float64ObservableCounter(name, metric.WithUnit("s"), metric.WithDescription(about))
	m.made(c, err)
	return c
}

func (m *instruments) made(i metric.Observable, err error) {
	if err != nil && m.err == nil {
		m.err = err
	}
	m.all = append(m.all, i)
}
