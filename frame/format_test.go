package frame

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// sizeByType is a protocol of three types: 'p' alone, 'k' with 4 bytes, 'b' with 32.
func sizeByType(typ byte) int {
	switch typ {
	case 'p':
		return 0
	case 'k':
		return 4
	case 'b':
		return 32
	}
	return -1
}

// every is each format in each of its variants, with a limit of about max bytes.
func every(max int) []Format {
	return []Format{
		Fixed(min(max, 7)),
		Lines(max),
		LinesCRLF(max),
		Lines(max).Unterminated(),
		Delimiter("\x00", max),
		Delimiter("\r\n", max),
		Delimiter("\r\n.\r\n", max),
		Delimiter("aab", max).Unterminated(),
		LengthPrefix(1, nil, max),
		LengthPrefix(2, binary.BigEndian, max),
		LengthPrefix(3, binary.LittleEndian, max),
		LengthPrefix(4, binary.LittleEndian, max),
		LengthPrefix(8, binary.BigEndian, max),
		LengthPrefix(2, binary.LittleEndian, max).CountingItself(),
		Decimal(5, max),
		Decimal(3, max).CountingItself(),
		Varint(max),
		Netstring(max),
		ByType(sizeByType, max),
		EndOfStream(max),
	}
}

func TestZeroMaxIsTheDefault(t *testing.T) {
	for _, f := range []Format{
		Lines(0), Delimiter("|", 0), LengthPrefix(4, nil, 0), Varint(0), Netstring(0), EndOfStream(0),
	} {
		if _, err := f.Append(nil, make([]byte, DefaultMax)); err != nil {
			t.Errorf("%s: %v", f.r.name, err)
		}
		if _, err := f.Append(nil, make([]byte, DefaultMax+1)); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: one byte over the default: %v, want ErrTooLong", f.r.name, err)
		}
	}
}

func TestLimitIsWhatThePrefixCanSay(t *testing.T) {
	for _, c := range []struct {
		f    Format
		most int
	}{
		{LengthPrefix(1, nil, 1000), 255},
		{LengthPrefix(1, nil, 1000).CountingItself(), 254},
		{LengthPrefix(2, nil, math.MaxInt), 65535},
		{LengthPrefix(2, nil, math.MaxInt).CountingItself(), 65533},
		{LengthPrefix(2, nil, 100).CountingItself(), 100},
		{Decimal(2, 1000), 99},
		{Decimal(2, 1000).CountingItself(), 97},
	} {
		framed, err := c.f.Append(nil, make([]byte, c.most))
		if err != nil {
			t.Errorf("%s of %d bytes: %v", c.f.r.name, c.most, err)
		}
		if n, message, err := c.f.Split(framed, false); n != len(framed) || len(message) != c.most || err != nil {
			t.Errorf("%s of %d bytes: split %d, %d bytes, %v", c.f.r.name, c.most, n, len(message), err)
		}
		if _, err := c.f.Append(nil, make([]byte, c.most+1)); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s of %d bytes: %v, want ErrTooLong", c.f.r.name, c.most+1, err)
		}
	}
}

func TestNonsenseIsAnErrorOfEveryCall(t *testing.T) {
	for _, c := range []struct {
		f    Format
		want string
	}{
		{Format{}, "frame: no format"},
		{Format{}.CountingItself(), "frame: no format"},
		{Format{}.Unterminated(), "frame: no format"},
		{Fixed(0), "frame fixed: messages of 0 bytes"},
		{Fixed(-4), "frame fixed: messages of -4 bytes"},
		{Lines(-1), "frame lines: largest message of -1 bytes"},
		{Netstring(-1), "frame netstring: largest message of -1 bytes"},
		{EndOfStream(-1), "frame end of stream: largest message of -1 bytes"},
		{Delimiter("", 0), "frame delimiter: it is empty"},
		{LengthPrefix(0, nil, 0), "frame length prefix: a prefix of 0 bytes"},
		{LengthPrefix(9, nil, 0), "frame length prefix: a prefix of 9 bytes"},
		{LengthPrefix(9, nil, 0).CountingItself(), "frame length prefix: a prefix of 9 bytes"},
		{Decimal(0, 0), "frame decimal length: 0 digits"},
		{Decimal(19, 0), "frame decimal length: 19 digits"},
		{ByType(nil, 0), "frame message by type: no size function"},
		{Varint(0).CountingItself(), "frame varint length: CountingItself is for"},
		{Netstring(0).Unterminated(), "frame netstring: Unterminated is for"},
	} {
		_, _, splitErr := c.f.Split([]byte("x"), false)
		dst, appendErr := c.f.Append([]byte("kept"), []byte("x"))
		s := NewScanner(strings.NewReader("x"), c.f)
		if s.Scan() {
			t.Errorf("%q: a message", c.want)
		}
		for _, err := range []error{c.f.Err(), splitErr, appendErr, s.Err()} {
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		}
		if string(dst) != "kept" {
			t.Errorf("Append returned %q with its error", dst)
		}
	}
	for _, f := range every(10) {
		if f.Err() != nil {
			t.Error(f.Err())
		}
	}
}

func TestEmptyDataIsNoMessageAndNoError(t *testing.T) {
	for _, f := range every(10) {
		for _, data := range [][]byte{nil, {}} {
			for _, atEOF := range []bool{false, true} {
				if n, message, err := f.Split(data, atEOF); n != 0 || message != nil || err != nil {
					t.Errorf("%s: split of nothing: %d, %q, %v", f.r.name, n, message, err)
				}
			}
		}
	}
}

func TestAppendingToAMessageLeavesTheStreamAlone(t *testing.T) {
	for _, f := range every(40) {
		data := streamOf(t, f, []byte("0123456"), []byte("789"))
		before := bytes.Clone(data)
		_, message, err := f.Split(data, true)
		if err != nil {
			t.Fatalf("%s: %v", f.r.name, err)
		}
		_ = append(message, "overwritten"...)
		if !bytes.Equal(data, before) {
			t.Errorf("%s: the stream became %q", f.r.name, data)
		}
	}
}

func TestHugeLimitsDoNotOverflow(t *testing.T) {
	for _, f := range every(math.MaxInt) {
		if f.BufferSize() < f.r.max {
			t.Errorf("%s: buffer of %d bytes for messages of %d", f.r.name, f.BufferSize(), f.r.max)
		}
		stream := streamOf(t, f, []byte("0123456"))
		s := NewScanner(iotest.OneByteReader(bytes.NewReader(stream)), f)
		if !s.Scan() || s.Err() != nil {
			t.Errorf("%s: no message: %v", f.r.name, s.Err())
		}
	}
	for _, prefix := range []string{"\xff\xff\xff\xff\xff\xff\xff\xff", "\x7f\xff\xff\xff\xff\xff\xff\xff"} {
		f := LengthPrefix(8, nil, math.MaxInt).CountingItself()
		if n, message, err := f.Split([]byte(prefix), false); n != 0 || message != nil {
			t.Errorf("%x: %d, %q, %v", prefix, n, message, err)
		}
	}
}

func TestScannerReadsMessagesOverItsOwnLimit(t *testing.T) {
	const size = 3 * bufio.MaxScanTokenSize
	for _, f := range []Format{
		Fixed(size), Lines(size), LinesCRLF(size), Delimiter("\r\n", size), LengthPrefix(4, nil, size),
		Decimal(6, size), Varint(size), Netstring(size), EndOfStream(size),
		ByType(func(byte) int { return size - 1 }, size),
	} {
		want := bytes.Repeat([]byte("x"), size)
		framed, err := f.Append(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		s := NewScanner(bytes.NewReader(framed), f)
		if !s.Scan() || !bytes.Equal(s.Bytes(), want) || s.Scan() || s.Err() != nil {
			t.Errorf("%s: %d bytes read, %v", f.r.name, len(s.Bytes()), s.Err())
		}
	}
}

// A peer that claims a huge message costs no memory, and is refused before it has sent a byte of it.
func TestTooLongIsRefusedBeforeMemoryIsTaken(t *testing.T) {
	for _, c := range []struct {
		f    Format
		head string
		want string
	}{
		{LengthPrefix(4, nil, 1<<20), "\xff\xff\xff\xff", "4294967295 bytes, the limit is 1048576"},
		{LengthPrefix(8, nil, 1<<20), "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615 bytes, the limit is 1048576"},
		{LengthPrefix(8, nil, 1<<20).CountingItself(), "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551607 bytes"},
		{Decimal(18, 1<<20), "999999999999999999", "999999999999999999 bytes, the limit is 1048576"},
		{Varint(1 << 20), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "18446744073709551615 bytes, the limit is 1048576"},
		{Netstring(1 << 20), "9999999", "over the limit of 1048576 bytes"},
		{ByType(func(byte) int { return math.MaxInt }, 1<<20), "x", "bytes to follow, the limit is 1048576"},
	} {
		r := &endless{head: []byte(c.head)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := NewScanner(r, c.f)
		scanned := s.Scan()
		runtime.ReadMemStats(&after)
		if scanned || !errors.Is(s.Err(), ErrTooLong) || !strings.Contains(s.Err().Error(), c.want) {
			t.Errorf("%s: %v, want ErrTooLong, %s", c.f.r.name, s.Err(), c.want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<10 {
			t.Errorf("%s: took %d bytes to refuse a message", c.f.r.name, took)
		}
		if r.read > 8<<10 {
			t.Errorf("%s: read %d bytes to refuse a message", c.f.r.name, r.read)
		}
	}
	for _, f := range []Format{Lines(10000), Delimiter("\r\n", 10000), EndOfStream(10000)} {
		r := &endless{}
		s := NewScanner(r, f)
		if s.Scan() || !errors.Is(s.Err(), ErrTooLong) {
			t.Errorf("%s: %v, want ErrTooLong", f.r.name, s.Err())
		}
		if r.read > 10002 {
			t.Errorf("%s: read %d bytes to refuse a message of more than 10000", f.r.name, r.read)
		}
	}
}

// endless sends its head, and then the letter x for ever.
type endless struct {
	head []byte
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for i := n; i < len(p); i++ {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestReadErrorIsNotTakenForATruncatedStream(t *testing.T) {
	reset := errors.New("connection reset by peer")
	for _, f := range every(40) {
		framed := streamOf(t, f, []byte("0123456"))
		cut := framed[:max(1, len(framed)-1)]
		s := NewScanner(io.MultiReader(bytes.NewReader(cut), iotest.ErrReader(reset)), f)
		for s.Scan() {
		}
		if s.Err() != reset {
			t.Errorf("%s: %v, want %v", f.r.name, s.Err(), reset)
		}
	}
}

func TestNothingIsAllocatedPerMessage(t *testing.T) {
	for _, f := range every(100) {
		msg := fit(f, []byte("sixteen letters!"))
		buf := make([]byte, 0, 2*f.BufferSize())
		split := bufio.SplitFunc(f.Split)
		allocs := testing.AllocsPerRun(100, func() {
			framed, err := f.Append(buf, msg)
			if err != nil {
				t.Fatal(err)
			}
			if _, message, err := split(framed, true); err != nil || len(message) != len(msg) {
				t.Fatal(len(message), err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations a message", f.r.name, allocs)
		}
	}
}

// What Parts puts around a message is what Append does, in little room, and leaves dst alone when it fails.
func TestPartsAreWhatAppendPutsAroundAMessage(t *testing.T) {
	formats := append(every(math.MaxInt), Decimal(18, math.MaxInt), Varint(math.MaxInt), Netstring(math.MaxInt))
	for _, f := range formats {
		for _, size := range []int{0, 1, 7, 255, 5000} {
			msg := fit(f, bytes.Repeat([]byte("x"), size))
			whole, want := f.Append([]byte("before "), msg)
			var room [32]byte
			dst := append(room[:0], "before "...)
			head, tail, err := f.Parts(dst, msg)
			if (err == nil) != (want == nil) {
				t.Fatalf("%s: %v, Append says %v", f.r.name, err, want)
			}
			if err != nil {
				if string(head) != "before " || tail != nil {
					t.Errorf("%s: %q and %q after %v", f.r.name, head, tail, err)
				}
				continue
			}
			if got := string(head) + string(msg) + string(tail); got != string(whole) {
				t.Errorf("%s: %.100q, Append makes %.100q", f.r.name, got, whole)
			}
			if n := len(head) - len(dst); n > 20 {
				t.Errorf("%s: %d bytes before a message", f.r.name, n)
			}
		}
	}
}
