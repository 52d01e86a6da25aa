package frame

import "fmt"

// Fixed is the format of messages of the same size in bytes, with nothing between them.
func Fixed(size int) Format {
	r := rules{kind: fixed, name: "fixed"}
	if size < 1 {
		r.err = fmt.Errorf("frame fixed: messages of %d bytes (a message has at least 1)", size)
	}
	return newFormat(r, size)
}
