package websocket

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/switchboard-go/switchboard/internal/field"
)

// A request is what a client's opening handshake says (RFC 6455, section 4.2.1). Its bytes lie in what was received.
type request struct {
	method, target, host, origin, key []byte
	upgrade, connection, version      bool // those fields say what they must
	keys, hosts                       int  // how often they are there
	subprotocol                       int  // index in the settings; less than 0: none
	deflate                           agreement
}

// A refusal is the answer to a request that opens no WebSocket.
type refusal struct {
	status int
	why    string
	header http.Header // more of it
}

func (r *refusal) Error() string {
	return fmt.Sprintf("websocket: the opening handshake was refused with status %d: %s", r.status, r.why)
}

func refuse(status int, why string) *refusal { return &refusal{status: status, why: why} }

const (
	// acceptGUID makes the answer to a key (RFC 6455, section 1.3).
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	keyLength  = 24 // of 16 bytes in base64
)

// appendAccept appends the answer to a key to b.
func appendAccept[T string | []byte](b []byte, key T) []byte {
	var text [keyLength + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(text[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// parseRequest reads the head of a request, which ends with an empty line (RFC 9112).
func parseRequest(head []byte, s *settings) (r request, err error) {
	r.subprotocol = -1
	line, rest := cutLine(head)
	method, line, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(line, []byte(" "))
	r.method, r.target = method, target
	switch {
	case !ok || !ok2 || !field.IsToken(method) || len(target) == 0 || !bytes.HasPrefix(version, []byte("HTTP/")) || !field.IsVisible(target):
		return r, refuse(http.StatusBadRequest, "this is not an HTTP/1.1 request")
	case len(version) != 8 || version[5] != '1' || version[6] != '.' || version[7] < '1' || version[7] > '9':
		return r, refuse(http.StatusHTTPVersionNotSupported, "a WebSocket begins with HTTP/1.1")
	}
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !field.IsToken(name) || !field.IsValue(value) {
			return r, refuse(http.StatusBadRequest, "a line of the header is not a field")
		}
		if err := r.field(name, bytes.Trim(value, " \t"), s); err != nil {
			return r, err
		}
	}
	return r, nil
}

// cutLine returns the line that p begins with, without its CRLF, and what follows it.
func cutLine(p []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(p, []byte("\r\n"))
	return line, rest
}

// field takes one field of the header.
func (r *request) field(name, value []byte, s *settings) error {
	is := func(lower string) bool { return len(name) == len(lower) && strings.EqualFold(string(name), lower) }
	switch {
	case is("host"):
		r.host = value
		r.hosts++
	case is("origin"):
		r.origin = value
	case is("upgrade"):
		r.upgrade = r.upgrade || hasToken(value, "websocket")
	case is("connection"):
		r.connection = r.connection || hasToken(value, "upgrade")
	case is("sec-websocket-version"):
		r.version = string(value) == "13"
	case is("sec-websocket-key"):
		r.key = value
		r.keys++
	case is("sec-websocket-protocol"):
		for item := range bytes.SplitSeq(value, []byte(",")) {
			item = bytes.Trim(item, " \t")
			for i := 0; i < len(s.Subprotocols) && r.subprotocol < 0; i++ {
				if string(item) == s.Subprotocols[i] {
					r.subprotocol = i
				}
			}
		}
	case is("sec-websocket-extensions"):
		if s.Deflate != nil && !r.deflate.on {
			r.deflate = negotiate(value, s.Deflate)
		}
	case is("content-length"):
		if string(value) != "0" {
			return refuse(http.StatusBadRequest, "a request for a WebSocket has no body")
		}
	case is("transfer-encoding"):
		return refuse(http.StatusBadRequest, "a request for a WebSocket has no body")
	}
	return nil
}

// hasToken tells whether a list has a name in it, in whatever case.
func hasToken(list []byte, lower string) bool {
	for item := range bytes.SplitSeq(list, []byte(",")) {
		item = bytes.Trim(item, " \t")
		if len(item) == len(lower) && strings.EqualFold(string(item), lower) {
			return true
		}
	}
	return false
}

// check tells what keeps r from opening a WebSocket. origins are those that may ask besides the host's own.
func (r *request) check(origins []string) error {
	switch {
	case string(r.method) != http.MethodGet:
		return &refusal{http.StatusMethodNotAllowed, "a WebSocket is asked for with GET", http.Header{"Allow": {"GET"}}}
	case r.hosts != 1:
		return refuse(http.StatusBadRequest, "a request has one Host field")
	case !r.upgrade || !r.connection:
		return refuse(http.StatusUpgradeRequired, "this address speaks WebSocket only")
	case !r.version:
		return &refusal{http.StatusUpgradeRequired, "WebSocket has the version 13", http.Header{"Sec-WebSocket-Version": {"13"}}}
	case r.keys != 1 || !isKey(r.key):
		return refuse(http.StatusBadRequest, "Sec-WebSocket-Key is not 16 bytes in base64")
	case len(r.origin) > 0 && !isAllowed(r.origin, r.host, origins):
		return refuse(http.StatusForbidden, "pages of this origin may not open a WebSocket here")
	}
	return nil
}

func isKey(key []byte) bool {
	var bytes [keyLength]byte
	if len(key) != keyLength {
		return false
	}
	n, err := base64.StdEncoding.Decode(bytes[:], key)
	return err == nil && n == 16
}

// isAllowed tells whether pages of an origin may open a WebSocket to a host: those of the host itself, and those of the
// origins that are named (RFC 6455, section 10.2).
func isAllowed(origin, host []byte, origins []string) bool {
	o := string(origin)
	for _, allowed := range origins {
		scheme, name, ok := strings.Cut(allowed, "://*.")
		switch {
		case allowed == "*" || strings.EqualFold(o, allowed):
			return true
		case ok && len(o) > len(scheme)+3 && strings.EqualFold(o[:len(scheme)+3], scheme+"://"):
			if i := len(o) - len(name) - 1; i > len(scheme)+3 && o[i] == '.' && strings.EqualFold(o[i+1:], name) {
				return true
			}
		}
	}
	u, err := url.Parse(o)
	if err != nil {
		return false
	}
	port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return u.Host != "" && strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(string(host), port))
}
