package frame

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
)

// DefaultMax is the largest message, in bytes, of a format whose max is 0.
const DefaultMax = 64 << 10

// A Format says where one message of a byte stream ends and the next begins. Split reads messages and Append writes
// them. Make a Format with Lines, LengthPrefix or another of the functions below. Every call on the zero Format
// returns an error.
//
// All these functions but Fixed take max, the largest message in bytes, without its delimiter or prefix. 0 means
// DefaultMax. A longer message is an ErrTooLong as soon as its size is known: with a length prefix, before its bytes
// are read.
//
// After wrong arguments (a length prefix of nine bytes, a negative max) every call returns an error that names them.
// Err returns it too, for formats that are made from a user's settings.
//
// A Format is a small immutable value. Any number of goroutines and connections may use one.
type Format struct{ r *rules }

// Err returns an error about the arguments that the format was made with, or nil.
func (f Format) Err() error {
	if f.r == nil {
		return errNoFormat
	}
	return f.r.err
}

// Split is a bufio.SplitFunc. It returns the first message of data without its frame. It never advances without a
// message. message is a part of data, valid as long as data is; appending to it makes a copy.
//
// Split keeps no state between calls. If it is called again and again while a large message arrives, it only looks at
// the length; with a delimiter it searches all of data, which max limits.
//
// If the stream ends between messages, Split returns nothing and no error. Its errors wrap ErrTooLong, ErrMalformed
// or ErrTruncated. After an error the next message boundary is unknown: close the stream.
func (f Format) Split(data []byte, atEOF bool) (advance int, message []byte, err error) {
	if err := f.Err(); err != nil {
		return 0, nil, err
	}
	if len(data) == 0 {
		return 0, nil, nil
	}
	switch f.r.kind {
	case delimited:
		return f.r.splitDelimited(data, atEOF)
	case endOfStream:
		return f.r.splitEndOfStream(data, atEOF)
	}
	return f.r.splitMeasured(data, atEOF)
}

// Append appends msg with its frame to dst and returns the extended slice, as the built-in append does. It allocates
// only if dst has not enough capacity. msg must not overlap the unused capacity of dst. After an error it returns dst
// unchanged.
//
// A message over the limit is an ErrTooLong. A message that a reader would take for a different one is an ErrUnfit.
func (f Format) Append(dst, msg []byte) ([]byte, error) {
	head, tail, err := f.Parts(dst, msg)
	if err != nil {
		return dst, err
	}
	return append(append(head, msg...), tail...), nil
}

// Parts returns the bytes that Append puts around msg, for callers that write them and msg with one vectored write,
// without a copy. head is dst followed by the bytes before msg, which are at most 20. tail is the bytes after msg; do
// not modify it. The errors are those of Append; after an error head is dst unchanged.
func (f Format) Parts(dst, msg []byte) (head, tail []byte, err error) {
	if err := f.Err(); err != nil {
		return dst, nil, err
	}
	r := f.r
	if r.kind == fixed && len(msg) != r.max {
		return dst, nil, r.fail("append", ErrUnfit, "%d bytes, where every message has %d", len(msg), r.max)
	}
	if len(msg) > r.max {
		return dst, nil, r.fail("append", ErrTooLong, "%d bytes, the limit is %d", len(msg), r.max)
	}
	switch r.kind {
	case delimited:
		if err := r.checkDelimited(msg); err != nil {
			return dst, nil, err
		}
		return dst, r.ending, nil
	case byType:
		return dst, nil, r.checkByType(msg)
	case netstring:
		return append(strconv.AppendInt(dst, int64(len(msg)), 10), ':'), comma, nil
	case length, decimal, varint:
		return r.appendLength(dst, uint64(len(msg))), nil, nil
	}
	return dst, nil, nil
}

// BufferSize returns the size in bytes of a buffer that is large enough for Split: with so many bytes, Split returns
// a message or an error and never asks for more. A limit on unread input must not be smaller.
func (f Format) BufferSize() int {
	if f.Err() != nil {
		return 1 // enough for Split to be asked, and to say why not
	}
	return f.r.bufferSize()
}

// NewScanner returns a bufio.Scanner that reads the messages of r. Its buffer starts small and grows as needed, up to
// BufferSize. (A bufio.Scanner that is only given Split has a limit of 64 KiB, regardless of the format's max.)
func NewScanner(r io.Reader, f Format) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(nil, f.BufferSize())
	s.Split(f.Split)
	return s
}

type kind uint8

const (
	fixed kind = iota
	delimited
	length
	decimal
	varint
	netstring
	byType
	endOfStream
)

// rules is what a Format is made of. It never changes once a caller has it.
type rules struct {
	kind  kind
	name  string // for errors
	max   int    // largest message in bytes; of fixed, every message
	extra int    // most bytes that can stand around a message
	err   error  // the arguments were nonsense

	// length, decimal
	width  int  // bytes, or digits
	little bool // least significant byte first
	itself bool // the length counts its own bytes too

	// delimited
	mark   []byte // what ends a message when reading
	ending []byte // what ends it when writing
	trimCR bool   // a carriage return before mark belongs to it
	open   bool   // the end of the stream may end the last message

	// byType
	size func(typ byte) int
}

// newFormat checks and completes what all formats have in common.
func newFormat(r rules, max int) Format {
	switch {
	case r.err != nil:
	case max < 0:
		r.err = fmt.Errorf("frame %s: largest message of %d bytes (0 means %d)", r.name, max, DefaultMax)
	case max == 0:
		r.max = DefaultMax
	default:
		r.max = max
	}
	return Format{&r}
}

func (r *rules) bufferSize() int {
	if r.max > math.MaxInt-r.extra {
		return math.MaxInt
	}
	return r.max + r.extra
}

// splitMeasured serves the formats that know a message's size before its bytes are there.
func (r *rules) splitMeasured(data []byte, atEOF bool) (advance int, message []byte, err error) {
	head, size, tail, err := r.measure(data)
	switch {
	case err != nil:
		return 0, nil, err
	case size < 0, len(data)-head-tail < size:
		if atEOF {
			return 0, nil, r.fail("split", ErrTruncated, "%d bytes of it were there", len(data))
		}
		return 0, nil, nil
	case tail > 0 && data[head+size] != ',':
		return 0, nil, r.fail("split", ErrMalformed, "%q after the message, where a comma must be", data[head+size])
	}
	end := head + size
	return end + tail, data[head:end:end], nil
}

// measure tells how many bytes stand before the message that begins data, are the message, and stand after it.
// The size is negative while data, which is not empty, is too short to tell.
func (r *rules) measure(data []byte) (head, size, tail int, err error) {
	switch r.kind {
	case fixed:
		return 0, r.max, 0, nil
	case byType:
		size, err = r.measureByType(data[0])
		return 0, size, 0, err
	case netstring:
		head, size, err = r.measureNetstring(data)
		return head, size, 1, err
	case varint:
		head, size, err = r.measureVarint(data)
	case decimal:
		head, size, err = r.measureDecimal(data)
	default:
		head, size, err = r.measureLength(data)
	}
	return head, size, 0, err
}
