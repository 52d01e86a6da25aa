package metrics

import (
	"strconv"

	"github.com/switchboard-go/switchboard"
)

// dialled is the label listener of connections that Dial has opened.
const dialled = "dialled"

// Server is the source of a server's figures. Labels are pairs of a name and a value that each figure gets besides its own, to
// tell several servers of a program apart: Server(s, "server", "chat").
func Server(s *switchboard.Server, labels ...string) Source {
	return func(w *Writer) {
		st := s.Stats()
		p := labelled{w, labels}
		p.connections(&st)
		p.traffic(&st)
		p.pauses(&st)
		p.loops(&st)
		if st.Engine == "uring" {
			p.ring(&st.Ring)
		}
	}
}

// labelled writes figures with the labels of one server.
type labelled struct {
	w      *Writer
	labels []string
}

func (p labelled) with(labels []string) []string {
	return append(p.labels[:len(p.labels):len(p.labels)], labels...)
}

func (p labelled) counter(name, help string, value int64, labels ...string) {
	p.w.Counter("switchboard_"+name, help, value, p.with(labels)...)
}

func (p labelled) gauge(name, help string, value int64, labels ...string) {
	p.w.Gauge("switchboard_"+name, help, float64(value), p.with(labels)...)
}

func (p labelled) connections(st *switchboard.Stats) {
	p.gauge("info", "The engine of the event loops, as a label.", 1, "engine", st.Engine)
	for _, o := range st.Origins {
		from := dialled
		if o.Addr != nil {
			from = o.Addr.String()
		}
		for _, c := range []struct {
			state string
			n     int64
		}{{"connecting", o.Conns.Connecting}, {"handshaking", o.Conns.Handshaking}, {"open", o.Conns.Open}, {"closing", o.Conns.Closing}} {
			p.gauge("connections", "Connections now, by listener and state.", c.n, "listener", from, "state", c.state)
		}
		if o.Addr == nil {
			continue
		}
		p.counter("accepted_total", "Connections taken from a listener, refused ones included.", o.Accepted, "listener", from)
		p.counter("refused_total", "Connections that the server refused, or whose TLS handshake failed.", o.Refused, "listener", from)
		p.gauge("listener_accepting", "1 while a listener is open.", one(o.Accepting), "listener", from)
		p.gauge("listener_waiting", "1 while a listener waits: for connections to end, or for descriptors.", one(o.Full),
			"listener", from, "reason", "connections")
		p.gauge("listener_waiting", "1 while a listener waits: for connections to end, or for descriptors.", one(o.Short),
			"listener", from, "reason", "descriptors")
	}
	p.gauge("leaving", "1 after the shutdown of the server has begun.", one(st.Leaving))
	p.counter("dialled_total", "Connections that the server dialled.", st.Dialled)
	e := &st.Ends
	for _, c := range []struct {
		reason string
		n      int64
	}{{"orderly", e.Orderly}, {"idle", e.Idle}, {"stalled", e.Stalled}, {"panic", e.Panics}, {"invalid", e.Invalid},
		{"reset", e.Reset}, {"aborted", e.Aborted}, {"memory", e.Memory}, {"piped", e.Piped}, {"failed", e.Failed}} {
		p.counter("closed_total", "Connections that have ended, by reason.", c.n, "reason", c.reason)
	}
	p.counter("truncated_total", "Connections that ended before all that was written to them was sent.", e.Truncated)
	p.counter("tls_handshakes_total", "TLS handshakes that succeeded.", st.Handshakes)
	p.counter("tls_handshake_failures_total", "TLS handshakes that failed.", st.HandshakeFailures)
}

func (p labelled) traffic(st *switchboard.Stats) {
	p.counter("received_bytes_total", "Bytes received, as they are on the wire.", st.BytesIn)
	p.counter("sent_bytes_total", "Bytes handed to the system to be sent.", st.BytesOut)
	p.counter("spliced_bytes_total", "Bytes of those sent that never left the kernel.", st.Spliced)
	p.counter("messages_total", "Calls of handlers with input, or messages where the handler counts those.", st.Messages)
	p.gauge("queued_bytes", "Bytes that wait to be sent.", st.Queued)
	p.gauge("waiting_functions", "Functions that other goroutines gave to loops and that have not run yet.", st.Waiting)
	p.gauge("memory_bytes", "Bytes that connections hold, as the memory limit counts them; 0 without a limit.", st.Memory)
}

func (p labelled) pauses(st *switchboard.Stats) {
	for _, c := range []struct {
		reason string
		n      int64
	}{{"handler", st.Paused.Handler}, {"output", st.Paused.Output}, {"input", st.Paused.Input}, {"memory", st.Paused.Memory}} {
		p.gauge("paused_connections", "Connections that are not read now, by reason.", c.n, "reason", c.reason)
	}
	p.counter("pauses_total", "Times that reading a connection paused.", st.Pauses)
	p.counter("memory_pauses_total", "Times that the connections which held the most were not read, for lack of memory.", st.MemoryPauses)
	p.counter("accept_pauses_total", "Times that a listener stopped accepting for a while.", st.AcceptPauses)
	p.counter("slow_calls_total", "Calls of handlers that held their loop for longer than the limit.", st.Slow)
}

func (p labelled) loops(st *switchboard.Stats) {
	for i := range st.Loops {
		l, loop := &st.Loops[i], strconv.Itoa(i)
		p.gauge("loop_connections", "Connections of a loop now.", l.Active, "loop", loop)
		p.counter("loop_messages_total", "Messages of a loop.", l.Messages, "loop", loop)
		if l.Turns != nil || st.Engine == "uring" {
			p.w.Seconds("switchboard_loop_busy_seconds_total", "Time that a loop has worked and not waited.",
				l.Busy.Seconds(), p.with([]string{"loop", loop})...)
		}
	}
	p.w.Histogram("switchboard_turn_seconds", "How long turns of the loops took.", st.Turns, p.labels...)
	p.w.Histogram("switchboard_handler_seconds", "How long calls of handlers took, of a sample.", st.Calls, p.labels...)
}

func (p labelled) ring(r *switchboard.RingStats) {
	p.counter("ring_enters_total", "System calls that entered io_uring.", r.Enters)
	p.counter("ring_completions_total", "Completions that io_uring brought.", r.Completions)
	p.counter("ring_starved_total", "Times that io_uring had no buffer left for input.", r.Starved)
	p.counter("ring_overflows_total", "Times that the queue of completions was full.", r.Overflows)
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
