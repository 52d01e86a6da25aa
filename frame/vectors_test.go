package frame

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// Streams as the specifications and the programs that people talk to write them.
func TestKnownStreams(t *testing.T) {
	for _, c := range []struct {
		name     string
		f        Format
		stream   string
		messages []string
	}{
		// cr.yp.to/proto/netstrings.txt gives these two, the first in hexadecimal.
		{"netstring", Netstring(0), "\x31\x32\x3a\x68\x65\x6c\x6c\x6f\x20\x77\x6f\x72\x6c\x64\x21\x2c",
			[]string{"hello world!"}},
		{"netstring, empty", Netstring(0), "0:,", []string{""}},
		{"netstrings", Netstring(0), "3:a,b,1::,", []string{"a,b", ":"}},
		// protobuf.dev/programming-guides/encoding: 1 is 01, 150 is 9601; a message is preceded by its size.
		{"varint of 1 byte", Varint(0), "\x03\x08\x96\x01", []string{"\x08\x96\x01"}},
		{"varint of 2 bytes", Varint(0), "\x96\x01" + strings.Repeat("x", 150), []string{strings.Repeat("x", 150)}},
		{"varint, empty", Varint(0), "\x00\x01a", []string{"", "a"}},
		// RFC 1035, 4.2.2: two bytes, network order, not counting themselves. The query is for the root's NS.
		{"DNS over TCP", LengthPrefix(2, binary.BigEndian, 0),
			"\x00\x11\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01",
			[]string{"\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"}},
		// PostgreSQL's startup packet: Int32 length that counts itself, then protocol 3.0.
		{"PostgreSQL startup", LengthPrefix(4, binary.BigEndian, 0).CountingItself(),
			"\x00\x00\x00\x10\x00\x03\x00\x00user\x00a\x00\x00", []string{"\x00\x03\x00\x00user\x00a\x00\x00"}},
		{"24 bits, little end first", LengthPrefix(3, binary.LittleEndian, 0), "\x02\x00\x00hi", []string{"hi"}},
		{"64 bits", LengthPrefix(8, binary.LittleEndian, 0), "\x02\x00\x00\x00\x00\x00\x00\x00hi", []string{"hi"}},
		{"order nil", LengthPrefix(2, nil, 0), "\x00\x02hi", []string{"hi"}},
		{"5 numeric characters", Decimal(5, 0), "00005hello00000", []string{"hello", ""}},
		{"decimal, counting itself", Decimal(3, 0).CountingItself(), "008hello003", []string{"hello", ""}},
		{"lines", Lines(0), "one\n\ntwo\r\nth\rree\n\r\n", []string{"one", "", "two", "th\rree", ""}},
		{"lines, two carriage returns", Lines(0), "one\r\r\n", []string{"one\r"}},
		{"lines, the last unterminated", Lines(0).Unterminated(), "one\ntwo", []string{"one", "two"}},
		{"lines, the last cut before LF", Lines(0).Unterminated(), "one\r", []string{"one"}},
		{"lines, strictly CRLF", Delimiter("\r\n", 0), "one\ntwo\r\n\r\n", []string{"one\ntwo", ""}},
		{"find -print0", Delimiter("\x00", 0), "a b\x00c\nd\x00", []string{"a b", "c\nd"}},
		{"delimiter that looks like a start of itself", Delimiter("aab", 0), "aaab", []string{"a"}},
		{"fixed", Fixed(2), "abcd", []string{"ab", "cd"}},
		{"by type", ByType(sizeByType, 0), "pk1234p", []string{"p", "k1234", "p"}},
		{"end of stream", EndOfStream(0), "all\nof it", []string{"all\nof it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scan(c.f, strings.NewReader(c.stream))
			if !equal(got, c.messages) || err != nil {
				t.Errorf("split %q, %v, want %q", got, err, c.messages)
			}
		})
	}
}

func TestMessagesAreWrittenAsTheSpecificationsHaveThem(t *testing.T) {
	for _, c := range []struct {
		f               Format
		message, framed string
	}{
		{Netstring(0), "hello world!", "12:hello world!,"},
		{Netstring(0), "", "0:,"},
		{Varint(0), strings.Repeat("x", 150), "\x96\x01" + strings.Repeat("x", 150)},
		{LengthPrefix(1, nil, 0), "hi", "\x02hi"},
		{LengthPrefix(2, binary.BigEndian, 0), "hi", "\x00\x02hi"},
		{LengthPrefix(2, binary.LittleEndian, 0), "hi", "\x02\x00hi"},
		{LengthPrefix(3, binary.BigEndian, 0), "hi", "\x00\x00\x02hi"},
		{LengthPrefix(3, binary.LittleEndian, 0), "hi", "\x02\x00\x00hi"},
		{LengthPrefix(4, binary.BigEndian, 0).CountingItself(), "hi", "\x00\x00\x00\x06hi"},
		{LengthPrefix(8, binary.LittleEndian, 0), "hi", "\x02\x00\x00\x00\x00\x00\x00\x00hi"},
		{Decimal(5, 0), "hello", "00005hello"},
		{Decimal(5, 0).CountingItself(), "hello", "00010hello"},
		{Lines(0), "one", "one\n"},
		{LinesCRLF(0), "one", "one\r\n"},
		{LinesCRLF(0), "one\r", "one\r\r\n"},
		{Delimiter("\r\n.\r\n", 0), "one", "one\r\n.\r\n"},
		{Fixed(3), "one", "one"},
		{ByType(sizeByType, 0), "k1234", "k1234"},
		{EndOfStream(0), "one", "one"},
		{EndOfStream(0), "", ""},
	} {
		framed, err := c.f.Append([]byte("before "), []byte(c.message))
		if string(framed) != "before "+c.framed || err != nil {
			t.Errorf("%s: append %q: %q, %v, want %q", c.f.r.name, c.message, framed, err, c.framed)
		}
	}
}

func TestWrongStreamsSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		f      Format
		stream string
		cause  error
		text   string
	}{
		{Fixed(4), "abcdef", ErrTruncated, "split fixed: stream ended inside a message: unexpected EOF: 2 bytes of it"},
		{Lines(3), "abcd\n", ErrTooLong, "split lines: message too long: over the limit of 3 bytes"},
		{Lines(3), "abcdefgh", ErrTooLong, "over the limit of 3 bytes"},
		{Lines(3), "abc\rd", ErrTooLong, "over the limit"},
		{Lines(3), "ab", ErrTruncated, "2 bytes of it were there"},
		{Lines(3).Unterminated(), "abcd", ErrTooLong, "over the limit of 3 bytes"},
		{Delimiter("||", 3), "abcd||", ErrTooLong, "split delimiter: message too long"},
		{Delimiter("||", 3), "abc|", ErrTruncated, "4 bytes of it were there"},
		{LengthPrefix(2, nil, 3), "\x00\x04abcd", ErrTooLong, "length prefix: message too long: 4 bytes, the limit is 3"},
		{LengthPrefix(2, nil, 3), "\x00", ErrTruncated, "1 bytes of it were there"},
		{LengthPrefix(2, nil, 3), "\x00\x03ab", ErrTruncated, "4 bytes of it were there"},
		{LengthPrefix(2, nil, 3).CountingItself(), "\x00\x01", ErrMalformed, "a length of 1, which counts its own 2 bytes"},
		{Decimal(5, 0), "12x45", ErrMalformed, "'x' as digit 3 of a length of 5"},
		{Decimal(5, 0), "GET / HTTP/1.1", ErrMalformed, "'G' as digit 1 of a length of 5"},
		{Decimal(5, 0), "   12", ErrMalformed, "' ' as digit 1"},
		{Decimal(5, 0), "0001", ErrTruncated, "4 bytes of it were there"},
		{Varint(0), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", ErrMalformed, "a length of more than 64 bits"},
		{Varint(0), "\x80", ErrTruncated, "1 bytes of it were there"},
		{Netstring(0), "5:hello", ErrTruncated, "7 bytes of it were there"},
		{Netstring(0), "5:hello;", ErrMalformed, "';' after the message, where a comma must be"},
		{Netstring(0), "05:hello,", ErrMalformed, "a length with a leading zero"},
		{Netstring(0), ":,", ErrMalformed, "':' as byte 1 of a length"},
		{Netstring(0), "-1:,", ErrMalformed, "'-' as byte 1 of a length"},
		{Netstring(0), "1", ErrTruncated, "1 bytes of it were there"},
		{Netstring(math.MaxInt), "99999999999999999999999999:", ErrTooLong, "over the limit"},
		{Netstring(3), "4:abcd,", ErrTooLong, "over the limit of 3 bytes"},
		{ByType(sizeByType, 0), "x", ErrMalformed, "split message by type: malformed frame: unknown type 0x78"},
		{ByType(sizeByType, 8), "b", ErrTooLong, "type 0x62 with 32 bytes to follow, the limit is 8"},
		{ByType(sizeByType, 4), "k1234", ErrTooLong, "type 0x6b with 4 bytes to follow, the limit is 4"},
		{ByType(sizeByType, 0), "k12", ErrTruncated, "3 bytes of it were there"},
		{EndOfStream(3), "abcd", ErrTooLong, "over the limit of 3 bytes"},
	} {
		_, err := scan(c.f, strings.NewReader(c.stream))
		if !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v, want %v, %s", c.stream, err, c.cause, c.text)
		}
		if c.cause == ErrTruncated && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v is no io.ErrUnexpectedEOF", c.stream, err)
		}
	}
}

func TestUnfitMessagesAreNotWritten(t *testing.T) {
	for _, c := range []struct {
		f             Format
		message, text string
	}{
		{Fixed(4), "abc", "append fixed: message does not fit the format: 3 bytes, where every message has 4"},
		{Lines(0), "one\ntwo", `append lines: message does not fit the format: it holds the delimiter "\n"`},
		{Lines(0), "one\r", `it holds the delimiter "\n", or ends with a part of it`},
		{LinesCRLF(0), "one\r\ntwo", "it holds the delimiter"},
		{LinesCRLF(0), "one\ntwo", "it holds the delimiter"},
		{Delimiter("aa", 0), "ba", "or ends with a part of it"},
		{Delimiter("\x00", 0), "a\x00", "it holds the delimiter"},
		{ByType(sizeByType, 0), "", "it is empty, and lacks its type"},
		{ByType(sizeByType, 0), "x", "unknown type 0x78"},
		{ByType(sizeByType, 0), "k12345", "type 0x6b has 4 bytes to follow, not 5"},
	} {
		dst, err := c.f.Append([]byte("kept"), []byte(c.message))
		if !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("append %q: %v, want ErrUnfit, %s", c.message, err, c.text)
		}
		if string(dst) != "kept" {
			t.Errorf("append %q returned %q with its error", c.message, dst)
		}
	}
}
