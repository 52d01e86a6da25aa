package websocket

import (
	"bytes"
	"strconv"
)

// An agreement is what a handshake says of permessage-deflate. The windows are base-2 logarithms.
type agreement struct {
	on                           bool
	serverAlone, clientAlone     bool // no context takeover by that side
	serverBits, clientBits       int  // 0: not mentioned, which is 15
	clientMayChoose, serverAsked bool // an offer has client_max_window_bits, server_max_window_bits
}

const extensionName = "permessage-deflate"

// negotiate chooses the first of a client's offers that this server can take, and says what it answers (RFC 7692, section
// 7.1). It may be called for every field of the name.
func negotiate(value []byte, d *Deflate) agreement {
	for offer := range splitOutsideQuotes(value, ',') {
		a, ok := parseExtension(offer, false)
		if !ok {
			continue
		}
		bits := d.WindowBits
		if a.serverAsked {
			bits = min(bits, a.serverBits)
			a.serverBits = bits
		} else {
			a.serverBits = 0
			if bits < maxWindowBits {
				a.serverBits = bits // an answer may say so unasked
			}
		}
		if !d.ContextTakeover {
			a.serverAlone, a.clientAlone = true, true
		}
		switch {
		case !a.clientMayChoose:
			a.clientBits = 0
		case a.clientAlone:
			a.clientBits = 0 // nothing is remembered: its window costs nothing
		default:
			if bits := min(a.clientBits, d.WindowBits); bits < maxWindowBits {
				a.clientBits = bits
			} else {
				a.clientBits = 0
			}
		}
		return a
	}
	return agreement{}
}

// parseExtension reads one permessage-deflate with its parameters. It is not ok if it is another extension, or has a
// parameter that is unknown, twice there or out of range. In an answer client_max_window_bits has a value.
func parseExtension(text []byte, answer bool) (a agreement, ok bool) {
	first, seen := true, 0
	for item := range splitOutsideQuotes(text, ';') {
		name, value, hasValue := bytes.Cut(item, []byte("="))
		name, value = bytes.Trim(name, " \t"), bytes.Trim(value, " \t")
		if first {
			if string(name) != extensionName || hasValue {
				return agreement{}, false
			}
			first, a.on = false, true
			continue
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		bit := 0
		switch string(name) {
		case "server_no_context_takeover":
			bit, ok, a.serverAlone = 1, !hasValue, true
		case "client_no_context_takeover":
			bit, ok, a.clientAlone = 2, !hasValue, true
		case "server_max_window_bits":
			bit, a.serverAsked = 4, true
			a.serverBits, ok = windowBits(value)
		case "client_max_window_bits":
			bit, a.clientMayChoose = 8, true
			if a.clientBits, ok = maxWindowBits, true; hasValue || answer {
				a.clientBits, ok = windowBits(value)
			}
		default:
			ok = false
		}
		if !ok || seen&bit != 0 {
			return agreement{}, false
		}
		seen |= bit
	}
	return a, a.on
}

// windowBits reads a number from 8 to 15 without leading zeros.
func windowBits(text []byte) (bits int, ok bool) {
	bits, err := strconv.Atoi(string(text))
	return bits, err == nil && bits >= minWindowBits && bits <= maxWindowBits && text[0] != '0' && text[0] != '+'
}

// splitOutsideQuotes is bytes.SplitSeq for a separator that is not in a quoted string.
func splitOutsideQuotes(p []byte, sep byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		quoted, start := false, 0
		for i := 0; i < len(p); i++ {
			switch {
			case quoted && p[i] == '\\':
				i++
			case p[i] == '"':
				quoted = !quoted
			case p[i] == sep && !quoted:
				if !yield(p[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(p[start:])
	}
}

// appendTo appends the parameters that are agreed on, or offered, as a field's value.
func (a agreement) appendTo(b []byte) []byte {
	b = append(b, extensionName...)
	if a.serverAlone {
		b = append(b, "; server_no_context_takeover"...)
	}
	if a.clientAlone {
		b = append(b, "; client_no_context_takeover"...)
	}
	if a.serverBits > 0 {
		b = strconv.AppendInt(append(b, "; server_max_window_bits="...), int64(a.serverBits), 10)
	}
	if a.clientBits > 0 {
		b = strconv.AppendInt(append(b, "; client_max_window_bits="...), int64(a.clientBits), 10)
	}
	return b
}

// agree sets c up for what was agreed on.
func (c *Conn) agree(a agreement) {
	if !a.on {
		return
	}
	mine, peers, myBits, peersBits := a.serverAlone, a.clientAlone, a.serverBits, a.clientBits
	if c.loop.client {
		mine, peers, myBits, peersBits = a.clientAlone, a.serverAlone, a.clientBits, a.serverBits
	}
	bits := c.loop.Deflate.WindowBits
	if myBits > 0 {
		bits = min(bits, myBits)
	}
	c.deflates = deflateOn | uint8(bits)
	if mine && peers {
		return
	}
	ctx := new(contexts)
	if !mine && c.loop.Deflate.ContextTakeover { // what may be remembered need not be
		ctx.keepSent = 1 << bits
	}
	if !peers {
		if peersBits == 0 {
			peersBits = maxWindowBits
		}
		ctx.keepReceived = 1 << peersBits
	}
	c.extra().contexts = ctx
	c.deflates |= deflateContexts
}
