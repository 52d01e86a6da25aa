package websocket

// A Kind is the kind of a message: text, which is valid UTF-8, or binary.
type Kind uint8

// The two kinds of messages (RFC 6455, section 5.6).
const (
	Text   Kind = 1
	Binary Kind = 2
)

// String returns "text" or "binary".
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case Binary:
		return "binary"
	}
	return "unknown"
}
