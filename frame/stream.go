package frame

// EndOfStream is the format of a stream that is a single message, as in HTTP/1.0. The sender writes it and shuts down
// its writing side. A stream without a byte has no message.
func EndOfStream(max int) Format {
	// One byte beyond the limit is what tells a message that is too long from one that may end here.
	return newFormat(rules{kind: endOfStream, name: "end of stream", extra: 1}, max)
}

func (r *rules) splitEndOfStream(data []byte, atEOF bool) (advance int, message []byte, err error) {
	switch {
	case len(data) > r.max:
		return 0, nil, r.fail("split", ErrTooLong, "over the limit of %d bytes", r.max)
	case !atEOF:
		return 0, nil, nil
	}
	return len(data), data[:len(data):len(data)], nil
}
