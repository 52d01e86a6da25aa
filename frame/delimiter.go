package frame

import (
	"bytes"
	"errors"
	"fmt"
)

// Lines is the format of lines of text. It reads lines that end with LF or CRLF, also mixed, and writes LF. A
// carriage return elsewhere is part of the line. LinesCRLF writes CRLF.
//
// A last line without an end is an ErrTruncated, because the sender may have meant to send more. See Unterminated.
func Lines(max int) Format {
	return newFormat(rules{
		kind: delimited, name: "lines", mark: []byte("\n"), ending: []byte("\n"), trimCR: true, extra: 2,
	}, max)
}

// LinesCRLF is Lines, but writes CRLF, as most line protocols of the Internet need. It reads LF and CRLF.
//
// If a lone LF must not end a line, as in SMTP (RFC 5321, section 2.3.8), use Delimiter("\r\n", max).
func LinesCRLF(max int) Format {
	return newFormat(rules{
		kind: delimited, name: "lines", mark: []byte("\n"), ending: []byte("\r\n"), trimCR: true, extra: 2,
	}, max)
}

// Delimiter is the format of messages that end with the bytes of delim. A message that contains delim cannot be
// written.
func Delimiter(delim string, max int) Format {
	r := rules{kind: delimited, name: "delimiter", mark: []byte(delim), ending: []byte(delim), extra: len(delim)}
	if delim == "" {
		r.err = errors.New("frame delimiter: it is empty (it needs at least 1 byte)")
	}
	return newFormat(r, max)
}

// Unterminated returns a format like f, of Lines, LinesCRLF or Delimiter, in which the end of the stream also ends
// the last message, as in bufio.ScanLines. A stream that was cut off then looks complete.
func (f Format) Unterminated() Format {
	if f.Err() != nil {
		return f
	}
	r := *f.r
	r.open = true
	if r.kind != delimited {
		r.err = fmt.Errorf("frame %s: Unterminated is for formats with a delimiter", r.name)
	}
	return Format{&r}
}

func (r *rules) splitDelimited(data []byte, atEOF bool) (advance int, message []byte, err error) {
	i := bytes.Index(data, r.mark)
	advance = i + len(r.mark)
	if i < 0 {
		// As long as this is true, the longest message and its end would not be here yet.
		short := len(data) < r.bufferSize()
		switch {
		case short && !atEOF:
			return 0, nil, nil
		case short && !r.open:
			return 0, nil, r.fail("split", ErrTruncated, "%d bytes of it were there", len(data))
		}
		i, advance = len(data), len(data)
	}
	if r.trimCR && i > 0 && data[i-1] == '\r' {
		i--
	}
	if i > r.max {
		return 0, nil, r.fail("split", ErrTooLong, "over the limit of %d bytes", r.max)
	}
	return advance, data[:i:i], nil
}

// checkDelimited makes sure that a reader finds msg in what is written, and nothing else.
func (r *rules) checkDelimited(msg []byte) error {
	found := bytes.Contains(msg, r.mark)
	for n := 1; n < len(r.mark) && !found; n++ { // a message can also spoil its own end, as "a" does before the delimiter "aa"
		found = bytes.HasSuffix(msg, r.mark[:n]) && bytes.HasPrefix(r.ending, r.mark[n:])
	}
	if found || r.trimCR && len(r.ending) == len(r.mark) && len(msg) > 0 && msg[len(msg)-1] == '\r' {
		return r.fail("append", ErrUnfit, "it holds the delimiter %q, or ends with a part of it", r.mark)
	}
	return nil
}
