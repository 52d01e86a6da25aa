package websocket

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"unicode/utf8"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// rules are what a reader holds frames against.
type rules struct {
	masked     bool // frames must be, as they come from a client
	compressed bool // messages may be, as it was agreed on
	streams    bool // payloads are passed on as they come, and not gathered
	maxMessage int64
	maxFrames  int // of a message; 0: any number
}

// incoming is a message, or a frame, of which not everything has come. Between messages there is none.
type incoming struct {
	op         opcode
	compressed bool
	masked     bool
	fin        bool   // the frame under way is the last one
	left       uint64 // bytes of the frame under way that have not come
	key        uint32
	frames     int
	size       int64          // bytes of the message in all frames that have begun
	buf        *buffer.Buffer // what has come, if it is gathered
	text       utf8Checker
	inflater   *pieceInflater // of a compressed message that is passed on as it comes; nil before its first byte
}

// A part is what a reader has found: a control frame, a message or, if it streams, a piece of one.
type part struct {
	op         opcode // 0: nothing that anybody must be told
	last       bool   // of its message's parts; set for a control frame
	compressed bool
	payload    []byte // unmasked; valid until the reader is asked for more
}

var incomings = sync.Pool{New: func() any { return new(incoming) }}

// next consumes the next frame of p, or what is there of it, and returns how many bytes that were; 0 when more must come
// first. It unmasks in place what it consumes. in is where a reader remembers a message that is not complete: nil at the
// beginning and between messages. Whoever has dealt with a message calls release.
func next(in **incoming, p []byte, r *rules) (n int, found part, err error) {
	m := *in
	if m == nil && r.masked && len(p) >= shortHeader {
		if n, found, err = short(p, r); n > 0 || err != nil {
			return n, found, err
		}
	}
	if m != nil && m.left > 0 {
		return m.resume(p, r)
	}
	h, size, err := parseHeader(p)
	switch {
	case err != nil:
		return 0, part{}, err
	case len(p) >= 2 && h.masked != r.masked && r.masked:
		return 0, part{}, protocolError("a client's frame is not masked")
	case len(p) >= 2 && h.masked != r.masked:
		return 0, part{}, protocolError("a server's frame is masked")
	case h.op.isControl():
		end := size + int(h.length)
		if size == 0 || len(p) < end {
			return 0, part{}, nil
		}
		body := p[size:end]
		if h.masked {
			mask(body, h.key)
		}
		return end, part{op: h.op, last: true, payload: body}, nil
	case len(p) == 0:
		return 0, part{}, nil
	case h.op == opContinuation && m == nil:
		return 0, part{}, protocolError("a continuation frame continues no message")
	case h.op != opContinuation && m != nil:
		return 0, part{}, protocolError("a message begins before the one before it has ended")
	case h.compressed && !r.compressed:
		return 0, part{}, protocolError("a message is compressed, which was not agreed on")
	case size == 0:
		return 0, part{}, nil
	}
	if err := r.checkSize(m, h); err != nil {
		return 0, part{}, err
	}
	if m == nil && h.fin && uint64(len(p)-size) >= h.length && !(r.streams && h.compressed) { // the whole message lies in p
		end := size + int(h.length)
		body := p[size:end]
		if h.masked {
			mask(body, h.key)
		}
		if h.op == opText && !h.compressed && !utf8.Valid(body) {
			return 0, part{}, errNotUTF8
		}
		return end, part{op: h.op, last: true, compressed: h.compressed, payload: body}, nil
	}
	if m == nil {
		m = incomings.Get().(*incoming)
		m.op, m.compressed = h.op, h.compressed
		*in = m
	}
	if m.frames++; r.maxFrames > 0 && m.frames > r.maxFrames {
		return 0, part{}, &ProtocolError{CodePolicy, "a message has too many frames"}
	}
	m.masked, m.key, m.fin, m.left = h.masked, h.key, h.fin, h.length
	m.size += int64(h.length)
	n, found, err = m.resume(p[size:], r)
	return size + n, found, err
}

const shortHeader = 6 // bytes of the header of a masked frame of up to 125 bytes

// short is next for the usual frame: a client's whole message of up to 125 bytes, all there. It leaves everything else.
func short(p []byte, r *rules) (n int, found part, err error) {
	op, length := opcode(p[0]&^bitFin), int(p[1]&^bitMasked)
	n = shortHeader + length
	if p[0]&bitFin == 0 || op != opText && op != opBinary || p[1]&bitMasked == 0 || length > maxControl || n > len(p) ||
		int64(length) > r.maxMessage {
		return 0, part{}, nil
	}
	body := p[shortHeader:n]
	mask(body, binary.LittleEndian.Uint32(p[2:]))
	if op == opText && !utf8.Valid(body) {
		return 0, part{}, errNotUTF8
	}
	return n, part{op: op, last: true, payload: body}, nil
}

var errNotUTF8 = &ProtocolError{CodeInvalidData, "a text is not UTF-8"}

// checkSize holds a message against its limit as soon as a frame announces its length. What a compressed one says of
// itself is only a hint: the limit is for what comes out. Data that cannot be compressed grows a little.
func (r *rules) checkSize(m *incoming, h header) error {
	limit, size, compressed := uint64(r.maxMessage), uint64(0), h.compressed
	if m != nil {
		size, compressed = uint64(m.size), m.compressed
	}
	if compressed {
		limit += limit/64 + 1024
	}
	if h.length > limit || size+h.length > limit {
		return errTooBig
	}
	return nil
}

var errTooBig = &ProtocolError{CodeTooBig, "a message is longer than the limit"}

// resume goes on with the frame under way.
func (m *incoming) resume(p []byte, r *rules) (n int, found part, err error) {
	n = int(min(uint64(len(p)), m.left))
	body := p[:n]
	if m.masked {
		m.key = mask(body, m.key)
	}
	m.left -= uint64(n)
	last := m.left == 0 && m.fin
	if m.op == opText && !m.compressed && (!m.text.add(body) || last && !m.text.complete()) {
		return n, part{}, errNotUTF8
	}
	if r.streams {
		if n == 0 && !last {
			return n, part{}, nil
		}
		return n, part{op: m.op, last: last, compressed: m.compressed, payload: body}, nil
	}
	if !last || m.buf != nil {
		m.gather(body, r)
		if !last {
			return n, part{}, nil
		}
		body = m.buf.B
	}
	return n, part{op: m.op, last: true, compressed: m.compressed, payload: body}, nil
}

// giveBack has p come again: the end of a part that could not be dealt with yet.
func (m *incoming) giveBack(p []byte) {
	m.left += uint64(len(p))
	if m.masked {
		m.key = bits.RotateLeft32(m.key, 8*(len(p)%4))
		mask(p, m.key)
	}
}

// gather keeps p. The buffer grows in steps that what has come justifies: what a header only announces takes no memory.
func (m *incoming) gather(p []byte, r *rules) {
	switch {
	case len(p) == 0 && m.buf != nil:
		return
	case m.buf == nil:
		m.buf = buffer.Get(int(min(uint64(len(p))+m.left, uint64(4*len(p)))))
	case len(m.buf.B)+len(p) > cap(m.buf.B):
		need := len(m.buf.B) + len(p)
		most := int(min(uint64(need)+m.left, uint64(2*need)))
		larger := buffer.Get(max(most, min(2*cap(m.buf.B), int(r.maxMessage))))
		larger.B = append(larger.B, m.buf.B...)
		buffer.Put(m.buf)
		m.buf = larger
	}
	m.buf.B = append(m.buf.B, p...)
}

// release forgets the message that *in holds, if any.
func release(in **incoming) {
	m := *in
	if m == nil {
		return
	}
	*in = nil
	if m.buf != nil {
		buffer.Put(m.buf)
	}
	if m.inflater != nil {
		pieceInflaters.Put(m.inflater)
	}
	*m = incoming{}
	incomings.Put(m)
}
