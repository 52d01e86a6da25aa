package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Codes of Close frames (RFC 6455, section 7.4). Applications may also use 4000 to 4999.
const (
	CodeNormal          = 1000 // an orderly end
	CodeGoingAway       = 1001 // the server shuts down, or the browser leaves the page
	CodeProtocolError   = 1002
	CodeUnsupportedKind = 1003 // text instead of binary, or the reverse
	CodeNone            = 1005 // the Close frame had no code; never sent
	CodeAbnormal        = 1006 // there was no Close frame; never sent
	CodeInvalidData     = 1007 // text that is not UTF-8, or invalid compression
	CodePolicy          = 1008 // against the rules of the application
	CodeTooBig          = 1009 // the message is too long
	CodeMissingExt      = 1010 // the server lacks an extension that the client needs
	CodeInternalError   = 1011
	CodeRestart         = 1012 // the server restarts
	CodeTryLater        = 1013 // the server is overloaded
	CodeBadGateway      = 1014 // a gateway got an invalid answer
)

// maxReason is how many bytes the reason of a Close frame can have.
const maxReason = maxControl - 2

// A CloseError is a Close frame with a code. Closed receives the peer's, unless its code is that of an orderly end:
// CodeNormal, CodeGoingAway or CodeNone. A handler that returns a CloseError closes the WebSocket with its code and
// reason.
type CloseError struct {
	Code   int
	Reason string // text of at most 123 bytes
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("websocket: closed with code %d", e.Code)
	}
	return fmt.Sprintf("websocket: closed with code %d: %s", e.Code, e.Reason)
}

// isOrderly tells whether a code says that all went well.
func isOrderly(code int) bool { return code == CodeNormal || code == CodeGoingAway || code == CodeNone }

// mayBeSent tells whether a code can stand in a Close frame: what RFC 6455 and the registry of IANA name, and what is left
// to libraries (3000 to 3999) and programs (4000 to 4999).
func mayBeSent(code int) bool {
	switch {
	case code < CodeNormal || code > 4999:
		return false
	case code <= CodeUnsupportedKind, code >= 3000:
		return true
	}
	return code >= CodeInvalidData && code <= CodeBadGateway
}

// appendClose appends the payload of a Close frame to b: nothing for CodeNone.
func appendClose(b []byte, code int, reason string) []byte {
	if code == CodeNone {
		return b
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(code)), reason...)
}

// parseClose reads the payload of a Close frame.
func parseClose(p []byte) (code int, reason []byte, err error) {
	switch len(p) {
	case 0:
		return CodeNone, nil, nil
	case 1:
		return 0, nil, protocolError("a close frame has one byte")
	}
	code, reason = int(binary.BigEndian.Uint16(p)), p[2:]
	if !mayBeSent(code) {
		return 0, nil, protocolError(fmt.Sprintf("a close frame has the code %d", code))
	}
	if !utf8.Valid(reason) {
		return 0, nil, &ProtocolError{CodeInvalidData, "the reason of a close frame is not UTF-8"}
	}
	return code, reason, nil
}

// checkClose tells what keeps a code and a reason from being sent.
func checkClose(code int, reason string) error {
	switch {
	case code == CodeNone && reason != "":
		return errors.New("websocket: close: a reason needs a code")
	case code != CodeNone && !mayBeSent(code):
		return fmt.Errorf("websocket: close: the code %d cannot be sent (1000, 3000 to 4999 ...)", code)
	case len(reason) > maxReason:
		return fmt.Errorf("websocket: close: the reason has %d bytes, at most %d fit", len(reason), maxReason)
	case !utf8.ValidString(reason):
		return errors.New("websocket: close: the reason is not UTF-8")
	}
	return nil
}

// A ProtocolError says how a peer broke the protocol, and with which code it is closed. Handler.Closed receives it.
type ProtocolError struct {
	Code   int
	Reason string
}

func protocolError(reason string) error { return &ProtocolError{CodeProtocolError, reason} }

func (f *ProtocolError) Error() string {
	return fmt.Sprintf("websocket: %s (code %d)", f.Reason, f.Code)
}
