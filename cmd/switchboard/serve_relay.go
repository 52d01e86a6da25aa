package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/metrics"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

// policies are what --slow knows.
var policies = []room.Policy{room.DropOldest, room.DropNewest, room.Disconnect}

func policyNamed(name string) (room.Policy, error) {
	var names []string
	for _, p := range policies {
		if p.String() == name {
			return p, nil
		}
		names = append(names, p.String())
	}
	return 0, fmt.Errorf("unknown --slow %q: there are %s", name, strings.Join(names, ", "))
}

// A relayServing is what the flags of serve relay ask for besides those of serve.
type relayServing struct {
	*serving
	lines   bool
	longest size
	slow    string
	queue   size
}

func relayCommand(s *serving) *cobra.Command {
	r := &relayServing{serving: s, longest: 64 << 10, queue: 64 << 10}
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Send what each client sends to all other clients",
		Long: `Send what each client sends to all other clients: messages over WebSocket, otherwise bytes, or whole lines with --lines.

All clients get everything in the same order. For a client that reads slowly, up to --member-queue bytes wait. Then --slow decides.
Bytes are dropped in the pieces in which they were read. With --lines a client gets a notice of how many lines it missed. --verbose
logs what was dropped for each client.`,
		Example: "  switchboard serve relay --listen ws://127.0.0.1:8080\n" +
			"  switchboard serve relay --lines --slow disconnect",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&r.lines, "lines", false, "relay whole lines")
	flags.Var(&r.longest, "max-line", "limit of a line, without its end, and at most --member-queue")
	flags.StringVar(&r.slow, "slow", room.DropOldest.String(), "what to do if --member-queue is full: drop-oldest, drop-newest, disconnect")
	flags.Var(&r.queue, "member-queue", "limit of the bytes that wait for a client; each message counts 64 more")
	cmd.RegisterFlagCompletionFunc("slow", cobra.FixedCompletions([]string{"drop-oldest", "drop-newest", "disconnect"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (r *relayServing) run(cmd *cobra.Command) error {
	if most := r.loop.mostQueued(); r.queue < 1<<10 || r.queue > most {
		return fmt.Errorf("--member-queue %s: 1k to --queue-limit, %s", &r.queue, &most)
	}
	if !changed(cmd.Flags(), "ws-message") {
		r.ws.message = min(r.queue, longestWebSocket)
	}
	if !changed(cmd.Flags(), "max-line") {
		r.longest = min(r.longest, r.queue)
	}
	if err := r.checkLoop(cmd); err != nil {
		return err
	}
	policy, err := policyNamed(r.slow)
	switch {
	case err != nil:
		return err
	case r.lines && r.ws.scheme != "":
		return errors.New("--lines is for clients that do not speak WebSocket")
	case changed(cmd.Flags(), "max-line") && !r.lines:
		return errors.New("--max-line needs --lines")
	case r.lines && (r.longest < 1 || r.longest > r.queue || r.longest+2 > min(r.loop.inputLimit, r.loop.mostQueued())):
		return fmt.Errorf("--max-line %s: at most --member-queue, %s, and less than --input-limit and --queue-limit", &r.longest, &r.queue)
	}
	if r.ws.scheme != "" && r.ws.message > r.queue {
		return fmt.Errorf("--ws-message %s: at most --member-queue, %s", &r.ws.message, &r.queue)
	}
	h := newRelay(policy, int(r.queue))
	h.hub.Logger = r.logger()
	if r.lines {
		h.form.Encode = func(b []byte, m *room.Message) []byte { return append(append(b, m.Data...), '\n') }
		h.form.Dropped = func(b []byte, n uint64) []byte { return fmt.Appendf(b, "* %d lines missed\n", n) }
		h.split = frame.Lines(int(r.longest)).Unterminated().Split
	}
	var of switchboard.Handler = byteRelay{h}
	if r.lines {
		of = lineRelay{byteRelay{h}}
	}
	return r.serveOnLoops(h.hub.Logger, loopService{
		name: "relay",
		prepare: func(server *switchboard.Server) {
			server.Accept = func(*switchboard.Conn) (switchboard.Handler, error) { return of, nil }
		},
		messages:      messageRelay{h},
		about:         h.about,
		shared:        &h.hub,
		figures:       []metrics.Source{metrics.Rooms(&h.hub)},
		moved:         h.moved(of),
		messagesMoved: h.messagesMoved,
	})
}

// A relay is one room in which everybody is.
type relay struct {
	hub   room.Hub
	form  *room.Form
	split bufio.SplitFunc // with --lines
	queue int
}

func newRelay(policy room.Policy, queue int) *relay {
	return &relay{
		hub:   room.Hub{Options: room.Options{Policy: policy, Queue: queue}},
		form:  &room.Form{Encode: func(b []byte, m *room.Message) []byte { return append(b, m.Data...) }},
		queue: queue,
	}
}

// A relayed is a client.
type relayed struct {
	*room.Subscription
	member  *room.Member
	waiting []room.Message // of a WebSocket, until the loops have caught up
}

// relayRoom is the room in which everybody is.
const relayRoom = "relay"

func (r *relay) join(c *switchboard.Conn, link room.Link) error {
	member := r.hub.Member(link, r.form, "")
	s, err := member.Join(relayRoom, nil)
	if err == nil {
		c.SetValue(&relayed{Subscription: s, member: member})
	}
	return err
}

func (r *relay) publish(c *switchboard.Conn, m room.Message) error {
	_, err := c.Value().(*relayed).PublishToOthers(m)
	if err != nil {
		r.notPassed(c, m, err)
	}
	return err
}

func (r *relay) notPassed(c *switchboard.Conn, m room.Message, err error) {
	r.hub.Logger.Warn("a message is not passed on", "peer", c.RemoteAddr().String(), "bytes", len(m.Data), "error", err)
}

func (r *relay) leave(c *switchboard.Conn, err error) {
	if s, ok := c.Value().(*relayed); ok {
		s.member.Ended(err)
	}
}

// about is what --verbose tells of a client when it is gone.
func (r *relay) about(c *switchboard.Conn) ([]any, bool) {
	s, ok := c.Value().(*relayed)
	if !ok {
		return nil, true
	}
	n := s.Counts()
	return []any{"delivered", n.Delivered, "dropped", n.Dropped, "lost", n.Lost}, true
}

// A byteRelay is the handler of connections of bytes.
type byteRelay struct{ *relay }

func (r byteRelay) Opened(c *switchboard.Conn) error { return r.join(c, room.Stream(c)) }

func (r byteRelay) Data(c *switchboard.Conn, p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+max(r.queue/4, 1))]
		_, err := c.Value().(*relayed).PublishToOthers(room.Message{Data: bytes.Clone(part)})
		if errors.Is(err, room.ErrBacklog) {
			break // it is offered again when the loops have caught up
		}
		if err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (r byteRelay) InputEnded(*switchboard.Conn, []byte) error { return nil } // it still listens

func (r byteRelay) Leaving(c *switchboard.Conn) { c.Close() }

func (r byteRelay) Closed(c *switchboard.Conn, err error) { r.leave(c, err) }

// A lineRelay is the handler of connections of lines.
type lineRelay struct{ byteRelay }

// Data takes one line. It is offered again when the loops have caught up, if they are too far behind.
func (r lineRelay) Data(c *switchboard.Conn, p []byte) (int, error) {
	n, line, err := r.split(p, false)
	if err == nil && n > 0 {
		_, err = c.Value().(*relayed).PublishToOthers(room.Message{Data: bytes.Clone(line)})
		if errors.Is(err, room.ErrBacklog) {
			return 0, nil
		}
	}
	return n, err
}

func (r lineRelay) InputEnded(c *switchboard.Conn, rest []byte) error {
	_, line, err := r.split(rest, true)
	if err == nil && line != nil {
		if err := r.publish(c, room.Message{Data: bytes.Clone(line)}); errors.Is(err, room.ErrHandedOver) {
			return err
		}
	}
	return err // it still listens
}

// A messageRelay is the handler of WebSockets.
type messageRelay struct{ *relay }

func (r messageRelay) Opened(c *websocket.Conn) error { return r.join(c.Conn(), room.WebSocket(c)) }

func (r messageRelay) Message(c *websocket.Conn, kind websocket.Kind, p []byte) error {
	me := c.Conn().Value().(*relayed)
	me.waiting = append(me.waiting, room.Message{Data: bytes.Clone(p), Kind: kind})
	if len(me.waiting) == 1 {
		r.pass(c, me)
	} else { // the room has had it read again
		c.Pause()
	}
	return nil
}

// backlogPause is after what time a message is offered to the room again, if the loops were too far behind.
const backlogPause = 20 * time.Millisecond

// pass publishes what waits. While it is not taken, c is not read.
func (r messageRelay) pass(c *websocket.Conn, me *relayed) {
	for len(me.waiting) > 0 {
		_, err := me.PublishToOthers(me.waiting[0])
		if errors.Is(err, room.ErrBacklog) {
			c.Pause()
			c.Conn().After(backlogPause, func() {
				if r.pass(c, me); len(me.waiting) == 0 {
					c.Resume()
				}
			})
			return
		}
		if err != nil {
			r.notPassed(c.Conn(), me.waiting[0], err)
		}
		if errors.Is(err, room.ErrHandedOver) { // nobody would hear it any more
			me.waiting = nil
			c.Close(websocket.CodeRestart, "another process has the rooms: connect again")
			return
		}
		me.waiting = me.waiting[1:]
	}
	me.waiting = nil
}

func (r messageRelay) Closed(c *websocket.Conn, err error) {
	if me, ok := c.Conn().Value().(*relayed); ok && !movesWith(err) {
		for _, m := range me.waiting { // it is too late to wait
			r.publish(c.Conn(), m)
		}
	}
	r.leave(c.Conn(), err)
}
