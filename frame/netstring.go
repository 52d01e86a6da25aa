package frame

import "strconv"

// Netstring is the format of netstrings: "5:hello,". The length is a decimal number without leading zeros, and a comma
// ends the message (D. J. Bernstein, cr.yp.to/proto/netstrings.txt).
func Netstring(max int) Format {
	f := newFormat(rules{kind: netstring, name: "netstring"}, max)
	f.r.extra = len(strconv.Itoa(f.r.max)) + len(":,")
	return f
}

func (r *rules) measureNetstring(data []byte) (head, size int, err error) {
	for i, c := range data {
		switch {
		case c == ':' && i > 0:
			return i + 1, size, nil
		case c < '0' || c > '9':
			return 0, 0, r.fail("split", ErrMalformed, "%q as byte %d of a length", c, i+1)
		case i == 1 && size == 0:
			return 0, 0, r.fail("split", ErrMalformed, "a length with a leading zero")
		}
		digit := int(c - '0')
		if size > r.max/10 || size*10 > r.max-digit {
			return 0, 0, r.fail("split", ErrTooLong, "over the limit of %d bytes", r.max)
		}
		size = size*10 + digit
	}
	return 0, -1, nil
}

var comma = []byte(",")
