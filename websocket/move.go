package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/buffer"
)

// A Mover is a Handler whose WebSockets can move to another process, see switchboard.Server.Handover: also in the middle of a
// fragmented message. Move returns what Upgrader.MovedHandler needs there to make a handler, and must not change anything. An
// error says that the WebSocket cannot move now. After a move the Handler's Closed is told switchboard.ErrMoved.
//
// A WebSocket stays that was dialled, that is closing, that carries an HTTP server's request, that has messages compressed
// with the ones before (Deflate.ContextTakeover), or whose Receiver has a part of a compressed message.
type Mover interface {
	Move(c *Conn) (switchboard.HandlerState, error)
}

// An EarlyMover is a Mover whose idle WebSockets may move ahead of the others, see switchboard.EarlyMover.
type EarlyMover interface {
	Mover
	MovesEarly(c *Conn) bool
}

// What a WebSocket says of itself to another process.
const (
	movedKind    = "switchboard/websocket"
	movedVersion = 1
)

// moveFlags are the first number of it.
const (
	moveOpen    = 1 << iota // the opening handshake is done; without this flag nothing follows
	movePaused              // the handler is told of nothing until Resume
	moveMidSend             // WritePart has begun a message
	moveMidRead             // a message has come in part
	moveStreams             // the handler is a Receiver
	moveDeflate             // compression was agreed on; the base-2 logarithm of the window follows

	moveCompressed // the message that has come in part is compressed
	moveMasked     // its frame is masked
	moveFin        // its frame is the last
)

var errStays = errors.New("websocket: it cannot move now")

// Move implements switchboard.Mover.
func (h *serverHandshake) Move(*switchboard.Conn) (switchboard.HandlerState, error) {
	c := (*Conn)(h)
	if c.loop.client || c.loop.upgrader == nil || c.has(lateStart) {
		return switchboard.HandlerState{}, errStays
	}
	return switchboard.HandlerState{Kind: movedKind, Version: movedVersion, Data: []byte{0}}, nil
}

// MovesEarly implements switchboard.EarlyMover.
func (e *endpoint) MovesEarly(*switchboard.Conn) bool {
	c := (*Conn)(e)
	h, ok := c.handler.(EarlyMover)
	return ok && h.MovesEarly(c)
}

// Move implements switchboard.Mover.
func (e *endpoint) Move(*switchboard.Conn) (st switchboard.HandlerState, err error) {
	c := (*Conn)(e)
	h, ok := c.handler.(Mover)
	if !ok || c.loop.client || c.has(closeReceived) || c.deflates&deflateContexts != 0 {
		return st, errStays
	}
	c.mu.Lock()
	sending := c.sending.Load()
	c.mu.Unlock()
	m := c.more
	if sending&sendClosed != 0 || m != nil && (m.closing != nil || m.failed != nil || m.due != nil) {
		return st, errStays
	}
	if m != nil && m.in != nil && m.in.inflater != nil { // what it remembers stays
		return st, errStays
	}
	of, err := h.Move(c)
	if err != nil {
		return st, err
	}
	if of.Version < 0 {
		return st, errStays
	}
	flags := uint64(moveOpen)
	set := func(f uint64, is bool) {
		if is {
			flags |= f
		}
	}
	var in *incoming
	if m != nil {
		in = m.in
	}
	set(movePaused, c.has(paused))
	set(moveMidSend, sending&sendMidMsg != 0)
	set(moveStreams, c.has(streams))
	set(moveDeflate, c.deflates&deflateOn != 0)
	set(moveMidRead, in != nil)
	if in != nil {
		set(moveCompressed, in.compressed)
		set(moveMasked, in.masked)
		set(moveFin, in.fin)
	}
	b := binary.AppendUvarint(nil, flags)
	if flags&moveDeflate != 0 {
		b = binary.AppendUvarint(b, uint64(c.deflates&deflateBits))
	}
	b = appendText(b, c.Subprotocol())
	b = appendText(b, of.Kind)
	b = binary.AppendUvarint(b, uint64(of.Version))
	b = appendText(b, of.Data)
	if in != nil {
		for _, n := range [...]uint64{uint64(in.op), in.left, uint64(in.key), uint64(in.frames), uint64(in.size)} {
			b = binary.AppendUvarint(b, n)
		}
		b = appendText(b, in.text.part[:in.text.n])
		if in.buf != nil {
			b = append(b, in.buf.B...)
		}
	}
	return switchboard.HandlerState{Kind: movedKind, Version: movedVersion, Data: b, Rearms: of.Rearms}, nil
}

func appendText[T string | []byte](b []byte, p T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

// Moved makes the handler of a WebSocket that another process has handed over: it is a switchboard.Server's Moved, as Accept is
// its Accept. The Upgrader must speak the subprotocol that the WebSocket speaks, and have Deflate if messages are compressed.
func (u *Upgrader) Moved(sc *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
	s, err := u.resolve()
	switch {
	case err != nil:
		return nil, err
	case from.Kind != movedKind:
		return nil, fmt.Errorf("websocket: a connection of %q is no WebSocket", from.Kind)
	case from.Version != movedVersion:
		return nil, fmt.Errorf("websocket: a WebSocket of version %d came over, this is version %d", from.Version, movedVersion)
	}
	c := &Conn{conn: sc, loop: s.on(sc), subprotocol: -1}
	open, err := c.restore(from.Data, u)
	if err != nil {
		return nil, err
	}
	if !open {
		c.enter(inHandshake)
		return (*serverHandshake)(c), nil
	}
	c.heard = uint32(sc.Received())
	c.enter(inOpen)
	c.count()
	return (*endpoint)(c), nil
}

// restore makes of c what Move said, and tells whether the opening handshake was done.
func (c *Conn) restore(p []byte, u *Upgrader) (open bool, err error) {
	r := stateReader{p: p}
	flags := r.number()
	if flags&moveOpen == 0 {
		return false, r.err()
	}
	if flags&moveDeflate != 0 {
		bits := r.number()
		switch {
		case bits < minWindowBits || bits > maxWindowBits:
			return false, errState
		case c.loop.Deflate == nil:
			return false, errors.New("websocket: messages are compressed, and Options.Deflate is nil")
		}
		c.deflates = deflateOn | uint8(bits)
	}
	if name := string(r.text()); name != "" {
		i := slices.Index(c.loop.Subprotocols, name)
		if i < 0 {
			return false, fmt.Errorf("websocket: the subprotocol %q is not among Options.Subprotocols", name)
		}
		c.subprotocol = int8(i)
	}
	of := switchboard.HandlerState{Kind: string(r.text()), Version: int(r.number()), Data: r.text()}
	var in *incoming
	if flags&moveMidRead != 0 {
		if in, err = r.incoming(flags, c.loop.settings); err != nil {
			return false, err
		}
	}
	if err := r.err(); err != nil {
		return false, err
	}
	if flags&movePaused != 0 {
		c.flags |= paused
	}
	c.sending.Store(sendOpen)
	if flags&moveMidSend != 0 {
		c.sending.Store(sendOpen | sendMidMsg)
	}
	switch {
	case u.MovedHandler != nil:
		c.handler, err = u.MovedHandler(c, of)
	case u.Handler != nil && of.Kind == "":
		c.handler = u.Handler
	default:
		err = fmt.Errorf("websocket: Upgrader.MovedHandler is nil: nobody to serve what moved from %q", of.Kind)
	}
	if err == nil && c.handler == nil {
		err = errors.New("websocket: Upgrader.MovedHandler returned no handler")
	}
	if err != nil {
		return false, err
	}
	if _, ok := c.handler.(Receiver); ok != (flags&moveStreams != 0) {
		return false, errors.New("websocket: one handler takes messages in parts and the other does not")
	} else if ok {
		c.flags |= streams
	}
	if in != nil {
		c.extra().in = in
	}
	return true, nil
}

var errState = errors.New("websocket: what the other process says of a WebSocket is broken")

// A stateReader takes a state apart. Once it is broken, it returns nothing more.
type stateReader struct {
	p      []byte
	broken bool
}

func (r *stateReader) err() error {
	if r.broken || len(r.p) > 0 {
		return errState
	}
	return nil
}

func (r *stateReader) number() uint64 {
	n, size := binary.Uvarint(r.p)
	if size <= 0 || n > 1<<63-1 {
		r.p, r.broken = nil, true
		return 0
	}
	r.p = r.p[size:]
	return n
}

func (r *stateReader) text() []byte {
	n := r.number()
	if n > uint64(len(r.p)) {
		r.p, r.broken = nil, true
		return nil
	}
	p := r.p[:n:n]
	r.p = r.p[n:]
	return p
}

// incoming reads the message that has come in part, which is the rest.
func (r *stateReader) incoming(flags uint64, s *settings) (*incoming, error) {
	op, left, key, frames, size := r.number(), r.number(), r.number(), r.number(), r.number()
	part := r.text()
	if r.broken || op != uint64(opText) && op != uint64(opBinary) || key > 1<<32-1 || frames > 1<<31 || len(part) > 3 || size < left {
		return nil, errState
	}
	if s.MaxFrames > 0 && frames > uint64(s.MaxFrames) || flags&moveStreams == 0 && len(r.p) > s.MaxMessage+s.MaxMessage/64+1024 {
		return nil, errors.New("websocket: a message that has come in part is beyond the limits of Options")
	}
	in := incomings.Get().(*incoming)
	*in = incoming{op: opcode(op), left: left, key: uint32(key), frames: int(frames), size: int64(size),
		compressed: flags&moveCompressed != 0, masked: flags&moveMasked != 0, fin: flags&moveFin != 0}
	in.text.n = uint8(copy(in.text.part[:], part))
	if len(r.p) > 0 {
		in.buf = buffer.Append(nil, r.p)
		r.p = nil
	}
	return in, nil
}
