package frame

import (
	"errors"
	"fmt"
	"io"
)

// What can be wrong with a stream or a message. The errors of Split and Append wrap one of these, and name the format
// and the sizes.
var (
	// ErrTooLong means a message over the format's limit, read or written.
	ErrTooLong = errors.New("message too long")

	// ErrTruncated means a stream that ended inside a message. It wraps io.ErrUnexpectedEOF.
	ErrTruncated = fmt.Errorf("stream ended inside a message: %w", io.ErrUnexpectedEOF)

	// ErrMalformed means a stream that does not follow the format: a length that is not a number or is less than its
	// own size, a missing comma, an unknown type.
	ErrMalformed = errors.New("malformed frame")

	// ErrUnfit means a message to be written that the format cannot carry: it contains the delimiter, or has not the
	// fixed size or the size of its type.
	ErrUnfit = errors.New("message does not fit the format")
)

var errNoFormat = errors.New("frame: no format (make one with frame.Lines, frame.LengthPrefix, …)")

func (r *rules) fail(call string, cause error, format string, args ...any) error {
	return fmt.Errorf("%s %s: %w: %s", call, r.name, cause, fmt.Sprintf(format, args...))
}
