package websocket

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Deflate configures permessage-deflate (RFC 7692), which compresses messages if the peer supports it. The zero value
// keeps nothing between messages, so an idle WebSocket costs no more memory than without it. Compressors are borrowed
// for one message.
type Deflate struct {
	// Level is the compression level, 1 (fast) to 9 (small). Each level needs about 1 MB for each message that is
	// compressed at the same time. Zero means the fastest method, which needs no memory but the stack. A peer that
	// asks for a window of less than 15 bits gets a level of its own.
	Level int

	// Threshold is the size in bytes below which messages are not compressed. Zero means 512. A negative value means
	// that all messages are compressed.
	Threshold int

	// ContextTakeover compresses each message with the previous ones as a dictionary, in both directions if the peer
	// agrees. It costs up to two windows of 1<<WindowBits bytes for each connection, and time for every message.
	// False means that messages are independent.
	ContextTakeover bool

	// WindowBits is the base-2 logarithm of the largest window, 8 to 15. A client that does not let the server choose
	// may use its own, larger window. Zero means 15, 32 KiB.
	WindowBits int
}

const (
	maxWindowBits = 15
	minWindowBits = 8 // RFC 7692, section 7.1.2.1

	defaultThreshold = 512
)

// The bytes that end a compressed message and are not sent (RFC 7692, section 7.2.1), and then an empty last block, at which
// an inflater ends.
var deflateTail = []byte{0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff}

// A deflation is how a message is compressed.
type deflation struct {
	level int // without effect for a window of less than 15 bits
	bits  int // base-2 logarithm of the window
}

// A compressor is borrowed for a message. It is the sink of its writer.
type compressor struct {
	writer *flate.Writer // nil for level 0
	out    *buffer.Buffer
}

func (z *compressor) Write(p []byte) (int, error) {
	z.out = buffer.Append(z.out, p)
	return len(p), nil
}

var (
	byLevel [10]sync.Pool            // of compressors with the largest window
	byBits  [maxWindowBits]sync.Pool // of those with a smaller one
)

// compress returns p compressed, in a borrowed buffer. history is what was compressed before it and the peer still
// remembers, or nothing; then what is sent makes sense on its own.
func (d deflation) compress(p, history []byte) *buffer.Buffer {
	if len(history) > 0 {
		d.level = max(d.level, 1) // level 0 would allocate
	}
	pool := &byLevel[d.level]
	if d.bits < maxWindowBits {
		pool = &byBits[d.bits]
	}
	z, _ := pool.Get().(*compressor)
	switch {
	case z != nil:
	case d.bits < maxWindowBits:
		z = new(compressor)
		z.writer, _ = flate.NewWriterWindow(z, 1<<d.bits) // an error would be that of a window out of range
	default:
		z = new(compressor)
		if d.level > 0 {
			z.writer, _ = flate.NewWriter(z, d.level)
		}
	}
	z.out = buffer.Get(min(len(p)/2, 64<<10))
	if z.writer == nil {
		flate.StatelessDeflate(z, p, false, nil)
	} else {
		z.writer.ResetDict(z, history)
		z.writer.Write(p)
		z.writer.Flush()
	}
	out := z.out
	out.B = bytes.TrimSuffix(out.B, deflateTail[:4])
	z.out = nil
	pool.Put(z)
	return out
}

// An inflater is borrowed for a message.
type inflater struct {
	in     bytes.Reader
	reader io.Reader // a flate.Resetter
	text   utf8Checker
}

var inflaters = sync.Pool{New: func() any {
	z := new(inflater)
	z.reader = flate.NewReader(&z.in)
	return z
}}

var errNotDeflate = &ProtocolError{CodeInvalidData, "a compressed message cannot be inflated"}

// inflate returns what p was compressed from, in a borrowed buffer, or an error as soon as that is longer than limit or is
// a text that is not valid. history is what p may refer to.
func inflate(p, history []byte, limit int64, text bool) (*buffer.Buffer, error) {
	in := buffer.Get(len(p) + len(deflateTail))
	in.B = append(append(in.B, p...), deflateTail...)
	z := inflaters.Get().(*inflater)
	out, err := z.inflate(in.B, history, limit, text)
	z.in.Reset(nil)
	z.text = utf8Checker{}
	inflaters.Put(z)
	buffer.Put(in)
	if err != nil {
		buffer.Put(out)
		return nil, err
	}
	return out, nil
}

func (z *inflater) inflate(p, history []byte, limit int64, text bool) (*buffer.Buffer, error) {
	out := buffer.Get(int(min(int64(4*len(p)), limit+1)))
	z.in.Reset(p)
	z.reader.(flate.Resetter).Reset(&z.in, history)
	for {
		if len(out.B) == cap(out.B) {
			larger := buffer.Get(int(min(int64(2*cap(out.B)), limit+1)))
			larger.B = append(larger.B, out.B...)
			buffer.Put(out)
			out = larger
		}
		n, err := z.reader.Read(out.B[len(out.B):cap(out.B)])
		fresh := out.B[len(out.B) : len(out.B)+n]
		out.B = out.B[:len(out.B)+n]
		switch {
		case int64(len(out.B)) > limit:
			return out, errTooBig
		case text && !z.text.add(fresh):
			return out, errNotUTF8
		case err == io.EOF && z.in.Len() > 0:
			// The peer has ended a block as its last one, and goes on (RFC 7692, section 7.2.3.4).
			z.reader.(flate.Resetter).Reset(&z.in, window(history, out.B))
		case err == io.EOF && text && !z.text.complete():
			return out, errNotUTF8
		case err == io.EOF:
			return out, nil
		case err != nil:
			return out, errNotDeflate
		}
	}
}

// window returns the bytes that end with now and, if those are few, begin in before.
func window(before, now []byte) []byte {
	if len(before) == 0 || len(now) >= 1<<maxWindowBits {
		return now
	}
	return append(append([]byte(nil), before...), now...)
}
