package frame

import "errors"

// ByType is the format of messages whose first byte is a type that determines their size. size returns the number of
// bytes after the type byte, or a negative number for an unknown type. The type byte is part of the message, and max
// includes it. size is called for every message, on the goroutine that calls Split or Append.
func ByType(size func(typ byte) int, max int) Format {
	r := rules{kind: byType, name: "message by type", size: size}
	if size == nil {
		r.err = errors.New("frame message by type: no size function")
	}
	return newFormat(r, max)
}

func (r *rules) measureByType(typ byte) (int, error) {
	n := r.size(typ)
	if n < 0 {
		return 0, r.fail("split", ErrMalformed, "unknown type %#02x", typ)
	}
	if n >= r.max {
		return 0, r.fail("split", ErrTooLong, "type %#02x with %d bytes to follow, the limit is %d", typ, n, r.max)
	}
	return 1 + n, nil
}

func (r *rules) checkByType(msg []byte) error {
	if len(msg) == 0 {
		return r.fail("append", ErrUnfit, "it is empty, and lacks its type")
	}
	switch n := r.size(msg[0]); {
	case n < 0:
		return r.fail("append", ErrUnfit, "unknown type %#02x", msg[0])
	case n != len(msg)-1:
		return r.fail("append", ErrUnfit, "type %#02x has %d bytes to follow, not %d", msg[0], n, len(msg)-1)
	}
	return nil
}
