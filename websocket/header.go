package websocket

import "encoding/binary"

// An opcode says what a frame is (RFC 6455, section 5.2).
type opcode uint8

const (
	opContinuation opcode = 0
	opText         opcode = opcode(Text)
	opBinary       opcode = opcode(Binary)
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

func (op opcode) isControl() bool { return op&8 != 0 }

const (
	bitFin        = 0x80 // of the first byte: the last frame of its message
	bitCompressed = 0x40 // of the first byte, RSV1: the message is compressed (RFC 7692, section 6)
	bitsReserved  = 0x30 // of the first byte, RSV2 and RSV3: nobody's
	bitMasked     = 0x80 // of the second byte

	maxControl = 125 // bytes of payload in a control frame
	maxHeader  = 14  // bytes of a header: two, eight of length, four of key
)

// A header is what stands in front of a frame's payload.
type header struct {
	op         opcode
	fin        bool
	compressed bool
	masked     bool
	key        uint32 // as it lies in memory, little-endian
	length     uint64 // of the payload
}

// parseHeader reads the header that p begins with, and returns its size: 0 if p does not hold all of it. What can be
// known to be wrong from the bytes that are there is an error, whether or not the rest is there.
func parseHeader(p []byte) (h header, size int, err error) {
	if len(p) == 0 {
		return h, 0, nil
	}
	h.op, h.fin, h.compressed = opcode(p[0]&0x0f), p[0]&bitFin != 0, p[0]&bitCompressed != 0
	switch {
	case p[0]&bitsReserved != 0:
		return h, 0, protocolError("a frame has reserved bits set")
	case h.op > opPong || h.op > opBinary && !h.op.isControl():
		return h, 0, protocolError("a frame has a reserved opcode")
	case h.op.isControl() && !h.fin:
		return h, 0, protocolError("a control frame is fragmented")
	case h.op.isControl() && h.compressed, h.op == opContinuation && h.compressed:
		return h, 0, protocolError("a frame has reserved bits set")
	}
	if len(p) < 2 {
		return h, 0, nil
	}
	h.masked, h.length, size = p[1]&bitMasked != 0, uint64(p[1]&^bitMasked), 2
	if h.op.isControl() && h.length > maxControl {
		return h, 0, protocolError("a control frame is longer than 125 bytes")
	}
	switch h.length {
	case 126:
		if len(p) < 4 {
			return h, 0, nil
		}
		h.length, size = uint64(binary.BigEndian.Uint16(p[2:])), 4
		if h.length < 126 {
			return h, 0, protocolError("a frame's length is not in its shortest form")
		}
	case 127:
		if len(p) > 2 && p[2]&0x80 != 0 {
			return h, 0, protocolError("a frame's length has its top bit set")
		}
		if len(p) < 10 {
			return h, 0, nil
		}
		h.length, size = binary.BigEndian.Uint64(p[2:]), 10
		if h.length < 1<<16 {
			return h, 0, protocolError("a frame's length is not in its shortest form")
		}
	}
	if h.masked {
		if len(p) < size+4 {
			return h, 0, nil
		}
		h.key, size = binary.LittleEndian.Uint32(p[size:]), size+4
	}
	return h, size, nil
}

// appendHeader appends h to b.
func appendHeader(b []byte, h header) []byte {
	first, second := byte(h.op), byte(0)
	if h.fin {
		first |= bitFin
	}
	if h.compressed {
		first |= bitCompressed
	}
	if h.masked {
		second = bitMasked
	}
	switch {
	case h.length < 126:
		b = append(b, first, second|byte(h.length))
	case h.length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, second|126), uint16(h.length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, second|127), h.length)
	}
	if h.masked {
		b = binary.LittleEndian.AppendUint32(b, h.key)
	}
	return b
}
