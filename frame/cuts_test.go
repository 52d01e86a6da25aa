package frame

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// scan reads every message of a stream with a bufio.Scanner.
func scan(f Format, r io.Reader) (messages []string, err error) {
	s := NewScanner(r, f)
	for s.Scan() {
		messages = append(messages, s.Text())
	}
	return messages, s.Err()
}

// feed reads every message of a stream as an event loop does: it keeps what Split left, and offers it again with what
// follows.
func feed(f Format, pieces [][]byte) (messages []string, err error) {
	var unread []byte
	offer := func(atEOF bool) error {
		for len(unread) > 0 {
			n, message, err := f.Split(unread, atEOF)
			if err != nil {
				return err
			}
			if message == nil {
				if n != 0 {
					return errors.New("advance without a message")
				}
				if len(unread) >= f.BufferSize() {
					return errors.New("a buffer of BufferSize bytes is full, and Split asks for more")
				}
				return nil
			}
			messages = append(messages, string(message))
			unread = unread[n:]
		}
		return nil
	}
	for _, piece := range pieces {
		unread = append(unread, piece...)
		if err := offer(false); err != nil {
			return messages, err
		}
	}
	return messages, offer(true)
}

// cut cuts a stream into pieces of 1 to about most bytes.
func cut(stream []byte, most int, random *rand.Rand) (pieces [][]byte) {
	for len(stream) > 0 {
		n := min(len(stream), 1+random.IntN(most))
		pieces = append(pieces, stream[:n])
		stream = stream[n:]
	}
	return pieces
}

// piecewise is a reader whose every Read returns one piece.
type piecewise [][]byte

func (p *piecewise) Read(buf []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(buf, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; len((*p)[0]) == 0 {
		*p = (*p)[1:]
	}
	return n, nil
}

// fit makes a message that f can carry out of any bytes.
func fit(f Format, b []byte) []byte {
	b = b[:min(len(b), f.r.max)]
	switch f.r.kind {
	case fixed:
		return append(bytes.Clone(b), make([]byte, f.r.max-len(b))...)
	case delimited:
		strange := append(slices.Clone(f.r.mark), '\r')
		return bytes.Map(func(c rune) rune {
			if bytes.ContainsRune(strange, c) {
				return '_'
			}
			return c
		}, bytes.ToValidUTF8(b, nil))
	case byType:
		typ := []byte("pkb")[len(b)%3]
		return append([]byte{typ}, append(bytes.Clone(b), make([]byte, 32)...)[:sizeByType(typ)]...)
	}
	return b
}

// streamOf is the messages, made fit, one after the other. A stream that is one message has only the first of them.
func streamOf(tb testing.TB, f Format, messages ...[]byte) (stream []byte) {
	tb.Helper()
	for _, message := range messages {
		var err error
		if stream, err = f.Append(stream, fit(f, message)); err != nil {
			tb.Fatalf("%s: append %q: %v", f.r.name, message, err)
		}
		if f.r.kind == endOfStream {
			break
		}
	}
	return stream
}

func equal(a, b []string) bool { return slices.Equal(a, b) }

func sameError(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}

// checkCuts promises that a stream says the same however it is cut, to a Scanner and to a loop, and that no message is
// over the limit. It returns what the stream says.
func checkCuts(t *testing.T, f Format, stream []byte, seed uint64) (messages []string, err error) {
	t.Helper()
	whole, wholeErr := feed(f, [][]byte{stream})
	for _, message := range whole {
		if len(message) > f.r.max {
			t.Fatalf("%s: message of %d bytes, the limit is %d", f.r.name, len(message), f.r.max)
		}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for _, most := range []int{1, 3, 1 + len(stream)/2, 1 + len(stream)} {
		pieces := cut(stream, most, random)
		if got, err := feed(f, pieces); !equal(got, whole) || !sameError(err, wholeErr) {
			t.Fatalf("%s: loop: %q in pieces: %q, %v; whole: %q, %v", f.r.name, stream, got, err, whole, wholeErr)
		}
		reader := piecewise(pieces)
		if got, err := scan(f, &reader); !equal(got, whole) || !sameError(err, wholeErr) {
			t.Fatalf("%s: scanner: %q in pieces: %q, %v; whole: %q, %v", f.r.name, stream, got, err, whole, wholeErr)
		}
	}
	return whole, wholeErr
}

// Any bytes at all: no panic, no message over the limit, and the same however the stream is cut.
func FuzzAnyCutOfAnyStreamSaysTheSame(f *testing.F) {
	for i, format := range every(40) {
		f.Add(uint8(i), uint8(40), uint64(i), []byte("5:hello,\r\n00012\x00\x02\x03aab\xff"))
		f.Add(uint8(i), uint8(3), uint64(i), streamOf(f, format, []byte("one"), nil, []byte("2")))
	}
	f.Fuzz(func(t *testing.T, which, limit uint8, seed uint64, stream []byte) {
		formats := every(1 + int(limit))
		checkCuts(t, formats[int(which)%len(formats)], stream, seed)
	})
}

// What Append wrote, Split reads, however the stream is cut. What Append refuses, it refuses for a reason.
func FuzzMessagesComeBackAsTheyWere(f *testing.F) {
	for i := range every(40) {
		f.Add(uint8(i), uint8(200), uint64(i), []byte("hello"), []byte(""), []byte("a longer message\r"))
	}
	f.Fuzz(func(t *testing.T, which, limit uint8, seed uint64, a, b, c []byte) {
		formats := every(1 + int(limit))
		f := formats[int(which)%len(formats)]
		var stream []byte
		var sent []string
		for _, message := range [][]byte{a, fit(f, a), b, fit(f, b), c, fit(f, c)} {
			longer, err := f.Append(stream, message)
			switch {
			case len(message) > f.r.max:
				if err == nil {
					t.Fatalf("%s: append of %d bytes, over the limit of %d", f.r.name, len(message), f.r.max)
				}
			case f.r.kind == delimited && err != nil:
				framed := append(bytes.Clone(message), f.r.ending...)
				if got, _ := feed(f, [][]byte{framed}); equal(got, []string{string(message)}) {
					t.Fatalf("%s: append %q: %v, but it would come back", f.r.name, message, err)
				}
			case err != nil && f.r.kind != byType && f.r.kind != fixed:
				t.Fatalf("%s: append %q: %v", f.r.name, message, err)
			}
			if err != nil {
				if !errors.Is(err, ErrTooLong) && !errors.Is(err, ErrUnfit) || len(longer) != len(stream) {
					t.Fatalf("%s: append %q: %v and %q", f.r.name, message, err, longer)
				}
				continue
			}
			stream = longer
			if f.r.kind != endOfStream {
				sent = append(sent, string(message))
			} else if len(stream) > 0 {
				sent = []string{string(stream)}
			}
			if len(stream) > f.r.max && f.r.kind == endOfStream {
				return
			}
		}
		if got, err := checkCuts(t, f, stream, seed); !equal(got, sent) || err != nil {
			t.Fatalf("%s: sent %q, got %q, %v", f.r.name, sent, got, err)
		}
	})
}

func TestAnyCutSaysTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range every(60) {
		for round := range 200 {
			var sent [][]byte
			for range random.IntN(8) {
				message := make([]byte, random.IntN(60))
				for i := range message {
					message[i] = byte(random.Uint32())
				}
				sent = append(sent, message)
			}
			stream := streamOf(t, f, sent...)
			got, err := checkCuts(t, f, stream, uint64(round))
			if err != nil || len(got) != len(sent) && f.r.kind != endOfStream {
				t.Fatalf("%s: %d messages of %d, %v", f.r.name, len(got), len(sent), err)
			}
			if len(stream) > 1 { // and so does a stream that breaks off, or goes wrong
				checkCuts(t, f, stream[:random.IntN(len(stream))], uint64(round))
				stream[random.IntN(len(stream))] ^= byte(1 << random.IntN(8))
				checkCuts(t, f, stream, uint64(round))
			}
		}
	}
}
