// Package quote makes text that others have chosen safe to show: on a terminal it moves no cursor, sets no title and makes
// no line of its own.
package quote

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Line returns s with every character that is not printed as itself written as in a Go string: "\n", "\x1b", "\u202e".
// Bytes that are no UTF-8 become "\xff". A printable text stays as it is.
func Line(s string) string {
	plain := true
	for i, r := range s {
		if !strconv.IsPrint(r) || r == utf8.RuneError && isBroken(s[i:]) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		part := s[i : i+size]
		if strconv.IsPrint(r) && !isBroken(s[i:]) {
			b.WriteString(part)
		} else {
			quoted := strconv.Quote(part)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

// isBroken tells whether s begins with a byte that is no UTF-8.
func isBroken(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return r == utf8.RuneError && size == 1
}

// Error returns the text of an error in one line. What errors.Join has put on lines of their own is separated by "; ".
func Error(err error) string { return Line(strings.ReplaceAll(err.Error(), "\n", "; ")) }

// Name returns a name as it is if it can be one of a host or an address, and else as a Go string, in quotation marks: a
// name cannot look like several.
func Name(s string) string {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_*:", r)
	}
	if s == "" || strings.ContainsFunc(s, other) {
		return strconv.Quote(s)
	}
	return s
}

// JSON returns a writer of JSON to w in which what is not printed as itself is written as an escape of JSON: encoders leave
// control characters above U+007E as they are. Each Write must end on a whole character.
func JSON(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ out io.Writer }

// Write implements io.Writer.
func (w jsonWriter) Write(p []byte) (int, error) {
	unprinted := func(r rune) bool { return r > '~' && !strconv.IsPrint(r) }
	if bytes.ContainsFunc(p, unprinted) {
		var b bytes.Buffer
		for _, r := range string(p) {
			switch {
			case !unprinted(r):
				b.WriteRune(r)
			case r > 0xffff:
				high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
				fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
			default:
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		}
		_, err := w.out.Write(b.Bytes())
		return len(p), err
	}
	return w.out.Write(p)
}
