package service

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"time"
)

// Echo sends back what it receives (RFC 862).
var Echo = Service{
	Name:   "echo",
	About:  "Send back whatever is received (RFC 862)",
	Answer: func(p []byte) []byte { return p },
}

// Discard throws away what it receives (RFC 863).
var Discard = Service{
	Name:  "discard",
	About: "Throw away whatever is received (RFC 863)",
}

// Chargen sends lines of printable characters for as long as the client takes them (RFC 864).
var Chargen = Service{
	Name:   "chargen",
	About:  "Send lines of characters without end (RFC 864)",
	Speech: func() io.Reader { return new(characters) },
}

// Daytime tells the local date and time in words, once (RFC 867).
var Daytime = Service{
	Name:   "daytime",
	About:  "Tell the date and the time in words (RFC 867)",
	Speech: func() io.Reader { return strings.NewReader(daytime(time.Now())) },
}

// Time tells the seconds since 1900, once, as four bytes in network byte order (RFC 868).
var Time = Service{
	Name:   "time",
	About:  "Tell the seconds since 1900 as four bytes in network byte order (RFC 868)",
	Speech: func() io.Reader { return bytes.NewReader(seconds(time.Now())) },
}

// daytime writes the time in the first of the two forms that RFC 867 suggests.
func daytime(t time.Time) string {
	return t.Format("Monday, January 2, 2006 15:04:05-MST\r\n")
}

// seconds counts from 1900-01-01 00:00 UTC; RFC 868 gives the distance to the Unix epoch. The count starts again at
// zero in 2036, as the protocol must.
func seconds(t time.Time) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(t.Unix()+2_208_988_800))
}

const (
	printable = 95 // characters from ' ' to '~'
	lineWidth = 72 // printed in one line, as RFC 864 shows it
)

// pattern is one full turn of the characters: each line starts one character later than the line before it.
var pattern = func() []byte {
	var b bytes.Buffer
	for first := range printable {
		for i := range lineWidth {
			// RFC 864 starts with '!', the second of the printable characters.
			b.WriteByte(byte(' ' + (first+1+i)%printable))
		}
		b.WriteString("\r\n")
	}
	return b.Bytes()
}()

// characters reads the pattern again and again.
type characters struct {
	at int // where in the pattern the next Read begins
}

func (c *characters) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], pattern[c.at:])
		n += k
		c.at = (c.at + k) % len(pattern)
	}
	return n, nil
}
