package websocket

import "unicode/utf8"

// A utf8Checker checks a text that comes in pieces, cut anywhere. Its zero value is at a text's beginning.
type utf8Checker struct {
	part [utf8.UTFMax]byte // a character whose end has not come
	n    uint8             // bytes of it
}

// add checks the next piece, and tells whether the text can still be valid: a wrong byte is told as soon as it is there.
func (u *utf8Checker) add(p []byte) bool {
	for u.n > 0 && len(p) > 0 {
		u.part[u.n] = p[0]
		u.n++
		p = p[1:]
		if utf8.FullRune(u.part[:u.n]) {
			if r, size := utf8.DecodeRune(u.part[:u.n]); r == utf8.RuneError && size == 1 {
				return false
			}
			u.n = 0
		}
	}
	// A character may begin in the last three bytes and end in the next piece.
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax+1; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				u.n = uint8(copy(u.part[:], p[i:]))
				p = p[:i]
			}
			break
		}
	}
	return utf8.Valid(p)
}

// complete tells whether the text may end here.
func (u *utf8Checker) complete() bool { return u.n == 0 }
