package frame

import (
	"bytes"
	"errors"
	"fmt"
)

// Lines is the format of lines of text. It reads lines that end with LF or with CRLF, mixed as they come, and writes
// LF. A carriage return elsewhere in a line belongs to it. See LinesCRLF to write CRLF.
//
// A last line without its end is an ErrTruncated, since who sent it may have meant more; see Unterminated.
func Lines(max int) Format {
	return newFormat(rules{
		kind: delimited, name: "lines", mark: []byte("\n"), ending: []byte("\n"), trimCR: true, extra: 2,
	}, max)
}

// LinesCRLF is Lines, but writes CRLF, as most of the Internet's line protocols want it. It reads either end.
//
// Where a lone LF must not end a line, as in SMTP (RFC 5321, 2.3.8), use Delimiter("\r\n", max).
func LinesCRLF(max int) Format {
	return newFormat(rules{
		kind: delimited, name: "lines", mark: []byte("\n"), ending: []byte("\r\n"), trimCR: true, extra: 2,
	}, max)
}

// Delimiter is the format of messages that each end with the bytes of delim. A message that holds them cannot be sent.
func Delimiter(delim string, max int) Format {
	r := rules{kind: delimited, name: "delimiter", mark: []byte(delim), ending: []byte(delim), extra: len(delim)}
	if delim == "" {
		r.err = errors.New("frame delimiter: it is empty (it needs at least 1 byte)")
	}
	return newFormat(r, max)
}

// Unterminated returns a format like f, which Lines, LinesCRLF or Delimiter made, in which the end of the stream may
// also end the last message, as bufio.ScanLines has it. A stream that broke off then looks like one that was complete.
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
