package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxHead is how long the head of a response, and a line between chunks, may be.
const maxHead = 64 << 10

// errLast says that the server ends the connection, in order, after the answers that were found.
var errLast = errors.New("the last answer")

// responses finds HTTP/1.1 responses (RFC 9112): as much of them as it takes to know where each ends.
type responses struct {
	toHead bool // the requests are HEADs, whose responses have no body

	part   part
	left   int64 // of the body or of the chunk
	last   bool  // the server closes after this one
	status int
}

// A part is what of a response comes next.
type part uint8

const (
	head    part = iota // status line and header
	body                // left bytes
	rest                // everything until the server closes
	size                // of a chunk
	content             // of a chunk, and the end of its line
	trailer             // after the last chunk, up to an empty line
)

func (r *responses) reset() { *r = responses{toHead: r.toHead} }

func (r *responses) take(k *client, p []byte) (used, whole int, err error) {
	for used < len(p) {
		n, done, err := r.step(p[used:])
		used += n
		if done {
			whole++
			r.part = head
			if r.status >= 400 {
				k.complain(&fault{kind: "HTTP status " + strconv.Itoa(r.status)})
			}
			if r.last && err == nil {
				return used, whole, errLast
			}
		}
		if err != nil {
			return used, whole, err
		}
		if n == 0 && !done {
			break
		}
	}
	return used, whole, nil
}

func (r *responses) end(left []byte) (whole int, err error) {
	switch {
	case r.part == rest:
		return 1, nil
	case r.part == head && len(left) == 0:
		return 0, nil
	}
	return 0, &fault{kind: "closed by the server in the middle of a response"}
}

// step uses up some of p, nothing if it needs more to go on, and says whether a response is done.
func (r *responses) step(p []byte) (n int, done bool, err error) {
	switch r.part {
	case head:
		return r.head(p)
	case body:
		n = int(min(r.left, int64(len(p))))
		r.left -= int64(n)
		return n, r.left == 0, nil
	case rest:
		return len(p), false, nil
	case content:
		n = int(min(r.left, int64(len(p))))
		if r.left -= int64(n); r.left == 0 {
			r.part = size
		}
		return n, false, nil
	}
	line, n, err := cutLine(p)
	if n == 0 || err != nil {
		return 0, false, err
	}
	if r.part == trailer {
		return n, len(line) == 0, nil
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	length, bad := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 62)
	if bad != nil {
		return n, false, wrongHTTP("%.40q is no length of a chunk", line)
	}
	r.part, r.left = content, int64(length)+2
	if length == 0 {
		r.part = trailer
	}
	return n, false, nil
}

// cutLine returns the line that p begins with, and its length with its end; 0 if that is not there yet.
func cutLine(p []byte) (line []byte, n int, err error) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		if len(p) > maxHead {
			err = wrongHTTP("a line of more than %d bytes", maxHead)
		}
		return nil, 0, err
	}
	return bytes.TrimSuffix(p[:i], []byte("\r")), i + 1, nil
}

func wrongHTTP(format string, a ...any) error {
	return &fault{"not HTTP", fmt.Sprintf(format, a...)}
}

// head reads a status line and a header, once p has all of it.
func (r *responses) head(p []byte) (n int, done bool, err error) {
	if !bytes.HasPrefix(p, []byte("HTTP/1.")[:min(len(p), 7)]) {
		return 0, false, wrongHTTP("the answer begins with %.40q", p)
	}
	first, fields, n, err := cutHead(p)
	if n == 0 || err != nil {
		return 0, false, err
	}
	if r.status, err = statusOf(first); err != nil {
		return 0, false, err
	}
	length, chunked, closes, keeps := int64(-1), false, false, false
	for len(fields) > 0 {
		var field []byte
		field, fields = cutField(fields)
		name, value, ok := bytes.Cut(field, []byte(":"))
		if !ok {
			return 0, false, wrongHTTP("%.40q is no header field", field)
		}
		value = bytes.TrimSpace(value)
		switch {
		case isField(name, "content-length"):
			if length, err = strconv.ParseInt(string(value), 10, 62); err != nil || length < 0 {
				return 0, false, wrongHTTP("%.40q is no content length", value)
			}
		case isField(name, "transfer-encoding"):
			chunked = strings.HasSuffix(strings.ToLower(string(value)), "chunked")
		case isField(name, "connection"):
			closes, keeps = closes || hasOption(value, "close"), keeps || hasOption(value, "keep-alive")
		}
	}
	r.last = closes || first[7] == '0' && !keeps // RFC 9112, 9.3
	switch {                                     // RFC 9112, 6.3
	case r.status < 200:
		return n, false, nil // the real one follows
	case r.toHead || r.status == 204 || r.status == 304:
		return n, true, nil
	case chunked:
		r.part = size
	case length >= 0:
		r.part, r.left = body, length
		return n, length == 0, nil
	default:
		r.part = rest
	}
	return n, false, nil
}

// cutHead returns the first line that p begins with, the lines after it up to the empty one, and the length of all that; 0
// if it is not all there yet.
func cutHead(p []byte) (first, fields []byte, n int, err error) {
	for {
		line, length, err := cutLine(p[n:])
		if length == 0 && len(p) > maxHead && err == nil {
			err = wrongHTTP("a head of more than %d bytes", maxHead)
		}
		if length == 0 || err != nil {
			return nil, nil, 0, err
		}
		switch {
		case n == 0:
			first, fields = line, p[length:]
		case len(line) == 0:
			return first, fields[:n-(len(p)-len(fields))], n + length, nil
		}
		n += length
	}
}

// cutField returns the first field of a header, its folded lines joined by spaces (RFC 9112, 5.2), and those after it.
func cutField(fields []byte) (field, after []byte) {
	field, n, _ := cutLine(fields)
	for fields = fields[n:]; len(fields) > 0 && (fields[0] == ' ' || fields[0] == '\t'); fields = fields[n:] {
		var more []byte
		more, n, _ = cutLine(fields)
		field = append(append(field[:len(field):len(field)], ' '), bytes.TrimSpace(more)...)
	}
	return field, fields
}

// hasOption tells whether a list separated by commas has an option.
func hasOption(list []byte, option string) bool {
	for item := range bytes.SplitSeq(list, []byte(",")) {
		if bytes.EqualFold(bytes.TrimSpace(item), []byte(option)) {
			return true
		}
	}
	return false
}

func isField(name []byte, lower string) bool {
	return len(name) == len(lower) && bytes.EqualFold(name, []byte(lower))
}

func statusOf(line []byte) (int, error) {
	// HTTP/1.1 200 OK
	if len(line) >= 12 && line[8] == ' ' && (len(line) == 12 || line[12] == ' ') {
		if status, err := strconv.Atoi(string(line[9:12])); err == nil && status >= 100 {
			return status, nil
		}
	}
	return 0, wrongHTTP("%.40q is no status line", line)
}
