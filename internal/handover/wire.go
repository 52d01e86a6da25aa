package handover

import (
	"encoding/binary"
	"fmt"
)

// Flags are what is true of a connection.
type Flags uint32

const (
	Dialled      Flags = 1 << iota // not accepted
	InputEnded                     // the peer has ended its output
	EndTold                        // and the handler knows
	OutputEnded                    // CloseWrite was called
	EndSent                        // and the peer knows
	Paused                         // by its handler
	Full                           // its handler is to be told when its queue has drained
	KeepsReading                   // though its queue is full
	Joined                         // by a Pipe, with the connection that follows in the same frame
	Handled                        // it has a handler with a state; without this flag it is a connection of a Pipe that has none

	allFlags = 1<<iota - 1
)

// A Conn is a connection without its descriptor. Times are milliseconds. The slices of a Conn that was decoded are parts of
// the frame.
type Conn struct {
	ID             uint64
	Flags          Flags
	Age, Idle      uint64
	Received, Sent uint64
	Network, Peer  string // the peer's address, if the system does not know it; else empty
	State          State
	Input, Output  []byte
}

// A State is what a handler says of itself.
type State struct {
	Kind    string
	Version uint64
	Data    []byte
}

// A Listener is a listening socket without its descriptor.
type Listener struct {
	Network, Address string
	TLS              bool
}

// A Piece is output of the connection ID.
type Piece struct {
	ID     uint64
	Output []byte
}

const magic = "switchboard handover\n"

// AppendHello appends the payload of a Hello. A giver says the oldest and the newest version that it speaks, a taker the one
// that it chose, twice.
func AppendHello(b []byte, oldest, newest uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(append(b, magic...), oldest), newest)
}

// ReadHello reads the payload of a Hello. What follows is a later version's.
func ReadHello(p []byte) (oldest, newest uint64, err error) {
	d := decoder{p: p}
	if string(d.take(uint64(len(magic)))) != magic {
		return 0, 0, ErrFormat
	}
	oldest, newest = d.number(), d.number()
	if d.broken || oldest > newest {
		return 0, 0, ErrFormat
	}
	return oldest, newest, nil
}

// AppendListener appends a Listener to the payload of Listeners.
func AppendListener(b []byte, l Listener) []byte {
	b = appendBytes(appendBytes(b, l.Network), l.Address)
	if l.TLS {
		return append(b, 1)
	}
	return append(b, 0)
}

// ReadListeners reads the payload of Listeners.
func ReadListeners(p []byte) (all []Listener, err error) {
	d := decoder{p: p}
	for len(d.p) > 0 && len(all) <= MaxListeners {
		l := Listener{Network: string(d.bytes()), Address: string(d.bytes())}
		tls := d.number()
		l.TLS = tls == 1
		if d.broken || tls > 1 {
			return nil, ErrFormat
		}
		all = append(all, l)
	}
	if len(d.p) > 0 {
		return nil, ErrFormat
	}
	return all, nil
}

// AppendConn appends a Conn to the payload of Conns.
func AppendConn(b []byte, c *Conn) []byte {
	for _, n := range [...]uint64{c.ID, uint64(c.Flags), c.Age, c.Idle, c.Received, c.Sent} {
		b = binary.AppendUvarint(b, n)
	}
	b = appendBytes(appendBytes(b, c.Network), c.Peer)
	b = appendBytes(b, c.State.Kind)
	b = binary.AppendUvarint(b, c.State.Version)
	return appendBytes(appendBytes(appendBytes(b, c.State.Data), c.Input), c.Output)
}

// ReadConns reads the payload of Conns.
func ReadConns(p []byte) (all []Conn, err error) {
	d := decoder{p: p}
	joined := false
	for len(d.p) > 0 {
		c := Conn{ID: d.number(), Flags: Flags(min(d.number(), allFlags+1)), Age: d.number(), Idle: d.number(),
			Received: d.number(), Sent: d.number(), Network: string(d.bytes()), Peer: string(d.bytes())}
		c.State = State{Kind: string(d.bytes()), Version: d.number(), Data: d.bytes()}
		c.Input, c.Output = d.bytes(), d.bytes()
		if d.broken || c.Flags > allFlags || len(all) == MaxConns || joined && c.Flags&Joined != 0 {
			return nil, ErrFormat
		}
		for _, n := range [...]uint64{c.Age, c.Idle, c.Received, c.Sent} {
			if n > 1<<62 {
				return nil, ErrFormat
			}
		}
		joined = c.Flags&Joined != 0
		all = append(all, c)
	}
	if joined {
		return nil, ErrFormat
	}
	return all, nil
}

// AppendMine appends the payload of Mine: why some connections were refused, if any were, and their IDs.
func AppendMine(b []byte, why string, refused []uint64) []byte {
	return AppendIDs(appendBytes(b, why), refused)
}

// ReadMine reads the payload of Mine.
func ReadMine(p []byte) (why string, refused []uint64, err error) {
	d := decoder{p: p}
	if why = string(d.bytes()); d.broken {
		return "", nil, ErrFormat
	}
	if refused, err = ReadIDs(d.p); err != nil {
		return "", nil, err
	}
	return why, refused, nil
}

// AppendIDs appends the payload of Withdrawn.
func AppendIDs(b []byte, ids []uint64) []byte {
	for _, id := range ids {
		b = binary.AppendUvarint(b, id)
	}
	return b
}

// ReadIDs reads the payload of Withdrawn.
func ReadIDs(p []byte) (ids []uint64, err error) {
	d := decoder{p: p}
	for len(d.p) > 0 && !d.broken {
		ids = append(ids, d.number())
	}
	if d.broken {
		return nil, ErrFormat
	}
	return ids, nil
}

// AppendPiece appends a Piece to the payload of Late.
func AppendPiece(b []byte, p Piece) []byte {
	return appendBytes(binary.AppendUvarint(b, p.ID), p.Output)
}

// ReadPieces reads the payload of Late.
func ReadPieces(p []byte) (all []Piece, err error) {
	d := decoder{p: p}
	for len(d.p) > 0 && !d.broken {
		all = append(all, Piece{d.number(), d.bytes()})
	}
	if d.broken {
		return nil, ErrFormat
	}
	return all, nil
}

// AppendShared appends what comes before the data in the first Shared.
func AppendShared(b []byte, s State) []byte {
	return binary.AppendUvarint(appendBytes(b, s.Kind), s.Version)
}

// ReadShared reads the payloads of all Shared, one behind the other. The Data of the State is a part of p.
func ReadShared(p []byte) (State, error) {
	d := decoder{p: p}
	s := State{Kind: string(d.bytes()), Version: d.number()}
	if s.Data = d.p; d.broken || s.Version > 1<<31 {
		return State{}, ErrFormat
	}
	return s, nil
}

func appendBytes[T string | []byte](b []byte, p T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

// A decoder takes a payload apart. Once it is broken, it returns nothing more.
type decoder struct {
	p      []byte
	broken bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.p)
	if size <= 0 {
		d.p, d.broken = nil, true
		return 0
	}
	d.p = d.p[size:]
	return n
}

func (d *decoder) bytes() []byte { return d.take(d.number()) }

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.p)) {
		d.p, d.broken = nil, true
		return nil
	}
	p := d.p[:n:n]
	d.p = d.p[n:]
	return p
}

// headerSize is the length of a frame's header: its kind, how many descriptors come with it, and the length of its payload.
const headerSize = 8

func appendHeader(b []byte, kind Kind, descriptors, length int) []byte {
	b = append(b, byte(kind), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(descriptors))
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

func readHeader(p []byte) (kind Kind, descriptors, length int, err error) {
	kind, descriptors = Kind(p[0]), int(binary.LittleEndian.Uint16(p[2:]))
	n := binary.LittleEndian.Uint32(p[4:])
	if kind < Hello || kind > Ahead || p[1] != 0 || n > MaxFrame || descriptors > MaxListeners {
		return 0, 0, 0, ErrFormat
	}
	return kind, descriptors, int(n), nil
}

// A RefusedError says that the other process does not want the handover.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return fmt.Sprintf("the other process refuses: %s", e.Why) }
