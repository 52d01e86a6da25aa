// Package field checks what HTTP headers say: the names and values of fields, and what the value of some of them must be.
// Errors do not say where a value comes from; the caller adds that.
package field

import (
	"fmt"
	"net/http"
	"strings"
)

// IsToken tells whether s can be a name in a header field (RFC 9110, section 5.6.2).
func IsToken[T string | []byte](s T) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(s) > 0
}

// IsValue tells whether s has no control characters but tabs (RFC 9110, section 5.5).
func IsValue[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// IsVisible tells whether s has neither spaces nor control characters.
func IsVisible[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// CheckHost returns an error if the Host of a request cannot be host, with or without a port (RFC 9110, section 7.2).
func CheckHost(host string) error {
	if host == "" || !IsVisible(host) || strings.ContainsAny(host, `/?#@\,`) {
		return fmt.Errorf("the Host %q is neither a name nor an IP address, with or without a port", host)
	}
	return nil
}

// A Set names the fields that a header cannot have, in their canonical form, and says why.
type Set map[string]string

// The fields of messages that others set than those who add a header.
var (
	// Handshake is for the request that opens a WebSocket (RFC 6455, section 4.1).
	Handshake = Set{
		"Connection":               "the opening handshake of WebSocket sets it",
		"Upgrade":                  "the opening handshake of WebSocket sets it",
		"Sec-Websocket-Key":        "the opening handshake of WebSocket sets it",
		"Sec-Websocket-Version":    "the opening handshake of WebSocket sets it",
		"Sec-Websocket-Extensions": "the opening handshake of WebSocket sets it",
		"Sec-Websocket-Protocol":   "the opening handshake of WebSocket sets it to the subprotocols",
		"Sec-Websocket-Accept":     "only an answer has it",
		"Content-Length":           "the request for a WebSocket has no body",
		"Transfer-Encoding":        "the request for a WebSocket has no body",
		"Trailer":                  "the request for a WebSocket has no body",
		"Expect":                   "the request for a WebSocket has no body",
		"Te":                       "the answer that opens a WebSocket has no body",
		"Keep-Alive":               "the connection of a WebSocket serves no other request",
		"Proxy-Connection":         "the connection of a WebSocket serves no other request",
	}

	// Request is for a request whose body is sent whole.
	Request = Set{
		"Content-Length":    "it is counted from the body",
		"Transfer-Encoding": "the body is sent whole, and not in chunks",
		"Trailer":           "the body is sent whole, and not in chunks",
		"Upgrade":           "nothing but HTTP/1.1 is understood",
	}

	// Answer is for every answer of an HTTP server.
	Answer = Set{
		"Content-Length":    "each answer has its own",
		"Content-Range":     "each answer has its own",
		"Content-Encoding":  "each answer has its own",
		"Transfer-Encoding": "the server sets it",
		"Trailer":           "the server sets it",
		"Connection":        "the server sets it",
		"Keep-Alive":        "the server sets it",
		"Upgrade":           "the server sets it",
	}
)

// Check returns an error if a header cannot have a field with these values.
func (s Set) Check(name string, values ...string) error {
	canonical := http.CanonicalHeaderKey(name)
	if !IsToken(name) {
		return fmt.Errorf("%q is not the name of a field", name)
	}
	if why := s[canonical]; why != "" {
		return fmt.Errorf("%s cannot be set: %s", name, why)
	}
	if canonical == "Host" {
		if len(values) > 1 {
			return fmt.Errorf("a request has one Host, and not %d", len(values))
		}
		for _, host := range values {
			if err := CheckHost(host); err != nil {
				return err
			}
		}
	}
	for _, value := range values {
		if !IsValue(value) {
			return fmt.Errorf("%s cannot be %q: it has a control character", name, value)
		}
	}
	return nil
}

// CheckHeader is Check for each field of a header.
func (s Set) CheckHeader(header http.Header) error {
	for name, values := range header {
		if err := s.Check(name, values...); err != nil {
			return err
		}
	}
	return nil
}
