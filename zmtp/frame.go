package zmtp

import (
	"encoding/binary"
)

// The flags of a frame (RFC 37, "Framing").
const (
	flagMore    = 1 << iota // more parts of the message follow
	flagLong                // the size is 8 octets, not one
	flagCommand             // a command, not part of a message
	flagsReserved
)

// longestHeader is the size of a long frame's header: flags and 8 octets of size.
const longestHeader = 9

// A header is what stands before the body of a frame.
type header struct {
	flags byte
	size  uint64 // of the body
	len   int    // of the header itself
}

// parseHeader reads the header at the start of b. It returns a header of length 0 if b holds only part of one.
func parseHeader(b []byte) (h header, err error) {
	if len(b) == 0 {
		return header{}, nil
	}
	h.flags = b[0]
	if h.flags >= flagsReserved {
		return header{}, protocolErrorf("a frame with the reserved flags 0x%02x", h.flags)
	}
	if h.flags&(flagCommand|flagMore) == flagCommand|flagMore {
		return header{}, protocolErrorf("a command that says more frames follow")
	}
	if h.flags&flagLong == 0 {
		if len(b) < 2 {
			return header{}, nil
		}
		h.size, h.len = uint64(b[1]), 2
		return h, nil
	}
	if len(b) < longestHeader {
		return header{}, nil
	}
	h.size, h.len = binary.BigEndian.Uint64(b[1:]), longestHeader
	if h.size > 1<<63-1 {
		return header{}, protocolErrorf("a frame of %d bytes, more than the protocol allows", h.size)
	}
	return h, nil
}

// appendHeader appends the header of a frame whose body has size bytes.
func appendHeader(b []byte, flags byte, size int) []byte {
	if size <= 255 {
		return append(b, flags, byte(size))
	}
	b = append(b, flags|flagLong)
	return binary.BigEndian.AppendUint64(b, uint64(size))
}

// appendFrame appends a frame.
func appendFrame(b []byte, flags byte, body []byte) []byte {
	return append(appendHeader(b, flags, len(body)), body...)
}

// frameSize returns how many bytes a frame of this body size takes on the wire.
func frameSize(size int) int {
	if size <= 255 {
		return 2 + size
	}
	return longestHeader + size
}

// appendParts appends the frames of a message.
func appendParts(b []byte, parts [][]byte) []byte {
	for i, part := range parts {
		flags := byte(flagMore)
		if i == len(parts)-1 {
			flags = 0
		}
		b = appendFrame(b, flags, part)
	}
	return b
}

// partsSize returns how many bytes appendParts appends.
func partsSize(parts [][]byte) (n int) {
	for _, part := range parts {
		n += frameSize(len(part))
	}
	return n
}

// cutMessage takes the first message off b, which holds whole messages that were checked before, and appends its parts
// to parts. They are views of b.
func cutMessage(b []byte, parts [][]byte) (message [][]byte, size int) {
	for {
		flags, at := b[size], size+2
		end := at + int(b[size+1])
		if flags&flagLong != 0 {
			at = size + longestHeader
			end = at + int(binary.BigEndian.Uint64(b[size+1:]))
		}
		parts = append(parts, b[at:end:end])
		size = end
		if flags&flagMore == 0 {
			return parts, size
		}
	}
}

// messageSize returns the size of the first message of b, which holds whole messages that were checked before.
func messageSize(b []byte) (size int) {
	for {
		flags := b[size]
		if flags&flagLong != 0 {
			size += longestHeader + int(binary.BigEndian.Uint64(b[size+1:]))
		} else {
			size += 2 + int(b[size+1])
		}
		if flags&flagMore == 0 {
			return size
		}
	}
}
