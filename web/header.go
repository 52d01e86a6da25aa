package web

import "bytes"

// A headerScan finds where the header of a request ends while it is still coming. The zero value is for a new request.
//
// net/http judges a header as it reads it, and answers some errors before the rest has come. So a scan also ends at the
// first line that is not plainly well formed. Whether it is an error is for net/http to say.
type headerScan struct {
	searched int32 // bytes in which there is no end
	line     int32 // where the first line begins that is not whole, or not looked at; 0: the request line is that
}

var endOfHeader = []byte("\r\n\r\n")

// look returns whether net/http can have p, the request as far as it has come, and how many bytes are its header: all of
// p if that is not known.
func (s *headerScan) look(p []byte, limit int) (size int, ready bool) {
	from := max(0, int(s.searched)-len(endOfHeader)+1)
	if i := bytes.Index(p[from:], endOfHeader); i >= 0 {
		return from + i + len(endOfHeader), true
	}
	if len(p) >= limit {
		return len(p), true
	}
	for {
		n := bytes.IndexByte(p[max(s.line, s.searched):], '\n')
		if n < 0 {
			s.searched = int32(len(p))
			return 0, false
		}
		end := int(max(s.line, s.searched)) + n
		line := bytes.TrimSuffix(p[s.line:end], []byte("\r"))
		switch fields := s.line > 0; {
		case len(line) == 0 && fields: // lines may end without a carriage return
			return end + 1, true
		case fields && !plainField(line), !fields && !plainRequestLine(line):
			return len(p), true
		}
		s.line, s.searched = int32(end+1), int32(end+1)
	}
}

// emptyLines returns how many bytes of p are empty lines before a request line, which RFC 9112, section 2.2 has servers
// ignore.
func emptyLines(p []byte) (n int) {
	for {
		switch rest := p[n:]; {
		case len(rest) > 0 && rest[0] == '\n':
			n++
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			n += 2
		default:
			return n
		}
	}
}

// plainRequestLine tells whether net/http surely reads on after line: a method, a path, HTTP/1.0 or HTTP/1.1.
func plainRequestLine(line []byte) bool {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	if len(method) == 0 || len(target) == 0 || target[0] != '/' || string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		return false
	}
	for _, b := range method {
		if kinds[b]&inToken == 0 {
			return false
		}
	}
	for i, b := range target {
		if b == '%' && (len(target) < i+3 || kinds[target[i+1]]&hexDigit == 0 || kinds[target[i+2]]&hexDigit == 0) ||
			kinds[b]&inTarget == 0 {
			return false
		}
	}
	return true
}

// plainField tells whether net/http surely reads on after line: a field name, a colon, printable characters.
func plainField(line []byte) bool {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || len(name) == 0 {
		return false
	}
	for _, b := range name {
		if kinds[b]&inToken == 0 {
			return false
		}
	}
	for _, b := range value {
		if (b < ' ' && b != '\t') || b == 0x7f {
			return false
		}
	}
	return true
}

const (
	inToken  = 1 << iota // RFC 9110, section 5.6.2
	inTarget             // a path and a query, RFC 3986, sections 3.3 and 3.4
	hexDigit
)

var kinds = func() (kinds [256]uint8) {
	mark := func(chars string, kind uint8) {
		for i := range len(chars) {
			kinds[chars[i]] |= kind
		}
	}
	const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	mark(alphanumeric+"!#$%&'*+-.^_`|~", inToken)
	mark(alphanumeric+"-._~!$&'()*+,;=:@/?%", inTarget)
	mark("0123456789abcdefABCDEF", hexDigit)
	return kinds
}()
