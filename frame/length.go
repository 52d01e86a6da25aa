package frame

import (
	"encoding/binary"
	"fmt"
	"math"
)

// LengthPrefix is the format of messages after their length in bytes, an unsigned number of 1 to 8 bytes (usually 2
// or 4) in a byte order. A nil order means binary.BigEndian, which is network byte order.
//
// The largest message is at most what the prefix can express: 255 bytes with a prefix of 1 byte. See CountingItself
// for lengths that include the prefix.
func LengthPrefix(bytes int, order binary.ByteOrder, max int) Format {
	r := rules{kind: length, name: "length prefix", width: bytes, extra: bytes}
	if bytes < 1 || bytes > 8 {
		r.err = fmt.Errorf("frame length prefix: a prefix of %d bytes (it has 1 to 8)", bytes)
	}
	r.little = order != nil && order.Uint16([]byte{1, 0}) == 1
	return newFormat(r, max).withinPrefix()
}

// Decimal is the format of messages after their length as a decimal number with leading zeros. digits is the number
// of digits, 1 to 18: with 5 digits, "00005hello". Python's Socket Programming HOWTO describes it.
//
// The largest message is at most what the digits can express. See CountingItself for lengths that include the digits.
func Decimal(digits, max int) Format {
	r := rules{kind: decimal, name: "decimal length", width: digits, extra: digits}
	if digits < 1 || digits > 18 {
		r.err = fmt.Errorf("frame decimal length: %d digits (it has 1 to 18)", digits)
	}
	return newFormat(r, max).withinPrefix()
}

// Varint is the format of messages after their length as a base-128 varint, as protocol buffers are sent in a stream
// (protobuf.dev/programming-guides/encoding; "delimited" in its libraries).
func Varint(max int) Format {
	return newFormat(rules{kind: varint, name: "varint length", extra: binary.MaxVarintLen64}, max)
}

// CountingItself returns a format like f, of LengthPrefix or Decimal, whose length includes the prefix. max still
// limits the message without it.
func (f Format) CountingItself() Format {
	if f.Err() != nil {
		return f
	}
	r := *f.r
	r.itself = true
	if r.kind != length && r.kind != decimal {
		r.err = fmt.Errorf("frame %s: CountingItself is for LengthPrefix and Decimal", r.name)
	}
	return Format{&r}.withinPrefix()
}

// withinPrefix lowers the limit to the largest message whose length the prefix can say.
func (f Format) withinPrefix() Format {
	r := f.r
	if r.err != nil {
		return f
	}
	var most uint64 = math.MaxUint64
	if r.kind == length {
		most >>= 64 - 8*r.width
	} else {
		most = 1
		for range r.width {
			most *= 10
		}
		most--
	}
	if r.itself {
		most -= uint64(r.width)
	}
	r.max = int(min(uint64(r.max), most))
	return f
}

func (r *rules) measureLength(data []byte) (head, size int, err error) {
	if len(data) < r.width {
		return 0, -1, nil
	}
	var n uint64
	for i := range r.width {
		if r.little {
			i = r.width - 1 - i
		}
		n = n<<8 | uint64(data[i])
	}
	size, err = r.sizeOf(n)
	return r.width, size, err
}

func (r *rules) measureDecimal(data []byte) (head, size int, err error) {
	var n uint64
	for i, c := range data[:min(len(data), r.width)] {
		if c < '0' || c > '9' {
			return 0, 0, r.fail("split", ErrMalformed, "%q as digit %d of a length of %d", c, i+1, r.width)
		}
		n = n*10 + uint64(c-'0')
	}
	if len(data) < r.width {
		return 0, -1, nil
	}
	size, err = r.sizeOf(n)
	return r.width, size, err
}

func (r *rules) measureVarint(data []byte) (head, size int, err error) {
	n, head := binary.Uvarint(data)
	switch {
	case head == 0:
		return 0, -1, nil
	case head < 0:
		return 0, 0, r.fail("split", ErrMalformed, "a length of more than 64 bits")
	}
	size, err = r.sizeOf(n)
	return head, size, err
}

// sizeOf turns the number in a prefix into the size of its message.
func (r *rules) sizeOf(n uint64) (int, error) {
	if r.itself {
		if n < uint64(r.width) {
			return 0, r.fail("split", ErrMalformed, "a length of %d, which counts its own %d bytes", n, r.width)
		}
		n -= uint64(r.width)
	}
	if n > uint64(r.max) {
		return 0, r.fail("split", ErrTooLong, "%d bytes, the limit is %d", n, r.max)
	}
	return int(n), nil
}

func (r *rules) appendLength(dst []byte, n uint64) []byte {
	if r.kind == varint {
		return binary.AppendUvarint(dst, n)
	}
	if r.itself {
		n += uint64(r.width)
	}
	start := len(dst)
	for range r.width {
		dst = append(dst, 0)
	}
	prefix := dst[start:]
	for i := range prefix {
		at := len(prefix) - 1 - i // from the least significant on
		switch {
		case r.kind == decimal:
			prefix[at] = byte('0' + n%10)
			n /= 10
			continue
		case r.little:
			at = i
		}
		prefix[at] = byte(n)
		n >>= 8
	}
	return dst
}
