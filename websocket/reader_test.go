package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// frame returns a frame as a peer sends it. first is its first byte.
func frame(first byte, masked bool, payload string) []byte {
	h := header{op: opcode(first & 0x0f), fin: first&bitFin != 0, compressed: first&bitCompressed != 0, length: uint64(len(payload))}
	var b []byte
	if masked {
		b = appendMasked(nil, h, []byte(payload))
	} else {
		b = append(appendHeader(nil, h), payload...)
	}
	b[0] = first
	return b
}

// read has a reader take input that comes in pieces as long as cut says, and returns what it found and its error.
func read(input []byte, r rules, cut func() int) (found []string, err error) {
	var in *incoming
	defer release(&in)
	var unread []byte
	for {
		n, p, err := next(&in, unread, &r)
		if err != nil {
			return found, err
		}
		unread = unread[n:]
		if p.op != 0 {
			found = append(found, fmt.Sprintf("%d:%s", p.op, p.payload))
			if p.last && !p.op.isControl() {
				release(&in)
			}
		}
		if n > 0 {
			continue
		}
		if len(input) == 0 {
			return found, nil
		}
		size := min(cut(), len(input))
		unread = append(bytes.Clone(unread), input[:size]...)
		input = input[size:]
	}
}

func whole() int { return 1 << 30 }

func join(frames ...[]byte) []byte { return slices.Concat(frames...) }

var fromClient = rules{masked: true, maxMessage: 1 << 20}

// The rules of RFC 6455 and what a server does when a client keeps or breaks them. code 0: it goes on.
var ruleTable = []struct {
	name  string
	input []byte
	found []string
	code  int
}{
	{"a text", frame(0x81, true, "hello"), []string{"1:hello"}, 0},
	{"bytes", frame(0x82, true, "\xff\x00"), []string{"2:\xff\x00"}, 0},
	{"an empty message", frame(0x81, true, ""), []string{"1:"}, 0},
	{"125, 126, 127 bytes", join(frame(0x82, true, strings.Repeat("a", 125)), frame(0x82, true, strings.Repeat("b", 126)),
		frame(0x82, true, strings.Repeat("c", 127))),
		[]string{"2:" + strings.Repeat("a", 125), "2:" + strings.Repeat("b", 126), "2:" + strings.Repeat("c", 127)}, 0},
	{"65535 and 65536 bytes", join(frame(0x82, true, strings.Repeat("a", 65535)), frame(0x82, true, strings.Repeat("b", 65536))),
		[]string{"2:" + strings.Repeat("a", 65535), "2:" + strings.Repeat("b", 65536)}, 0},
	{"fragments", join(frame(0x01, true, "he"), frame(0x00, true, "l"), frame(0x80, true, "lo")), []string{"1:hello"}, 0},
	{"empty fragments", join(frame(0x01, true, ""), frame(0x00, true, ""), frame(0x80, true, "")), []string{"1:"}, 0},
	{"only the middle one has bytes", join(frame(0x01, true, ""), frame(0x00, true, "x"), frame(0x80, true, "")), []string{"1:x"}, 0},
	{"control frames between fragments", join(frame(0x01, true, "a"), frame(0x89, true, "ping"), frame(0x00, true, "b"),
		frame(0x8a, true, "pong"), frame(0x80, true, "c")), []string{"9:ping", "10:pong", "1:abc"}, 0},
	{"a message after a fragmented one", join(frame(0x02, true, "a"), frame(0x80, true, "b"), frame(0x81, true, "c")),
		[]string{"2:ab", "1:c"}, 0},
	{"a ping of 125 bytes", frame(0x89, true, strings.Repeat("p", 125)), []string{"9:" + strings.Repeat("p", 125)}, 0},
	{"a character across fragments", join(frame(0x01, true, "\xe2\x82"), frame(0x80, true, "\xac")), []string{"1:€"}, 0},

	{"not masked", frame(0x81, false, "hello"), nil, CodeProtocolError},
	{"a control frame that is not masked", frame(0x89, false, ""), nil, CodeProtocolError},
	{"RSV1", frame(0xc1, true, "hello"), nil, CodeProtocolError},
	{"RSV2", frame(0xa1, true, "hello"), nil, CodeProtocolError},
	{"RSV3", frame(0x91, true, "hello"), nil, CodeProtocolError},
	{"RSV1 on a ping", frame(0xc9, true, ""), nil, CodeProtocolError},
	{"RSV1 on a continuation", join(frame(0x01, true, "a"), frame(0xc0, true, "b")), nil, CodeProtocolError},
	{"opcode 3", frame(0x83, true, ""), nil, CodeProtocolError},
	{"opcode 7", frame(0x87, true, "x"), nil, CodeProtocolError},
	{"opcode 11", frame(0x8b, true, ""), nil, CodeProtocolError},
	{"opcode 15", frame(0x8f, true, "x"), nil, CodeProtocolError},
	{"a ping of 126 bytes", frame(0x89, true, strings.Repeat("p", 126)), nil, CodeProtocolError},
	{"a close of 126 bytes", frame(0x88, true, strings.Repeat("p", 126)), nil, CodeProtocolError},
	{"a fragmented ping", join(frame(0x09, true, "a"), frame(0x80, true, "b")), nil, CodeProtocolError},
	{"a fragmented close", join(frame(0x08, true, "a"), frame(0x80, true, "b")), nil, CodeProtocolError},
	{"a continuation of nothing", frame(0x80, true, "x"), nil, CodeProtocolError},
	{"an unfinished continuation of nothing", frame(0x00, true, "x"), nil, CodeProtocolError},
	{"a continuation after a whole message", join(frame(0x81, true, "a"), frame(0x80, true, "b")), []string{"1:a"}, CodeProtocolError},
	{"a message inside another", join(frame(0x01, true, "a"), frame(0x81, true, "b")), nil, CodeProtocolError},
	{"5 bytes as 16 bits", []byte{0x82, 0xfe, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5}, nil, CodeProtocolError},
	{"125 as 16 bits", []byte{0x82, 0xfe, 0, 125, 0, 0, 0, 0}, nil, CodeProtocolError},
	{"65535 as 64 bits", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, nil, CodeProtocolError},
	{"a length with its top bit set", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, nil, CodeProtocolError},
	{"a length of 2⁶³-1", []byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, nil, CodeTooBig},
	{"longer than the limit", frame(0x82, true, strings.Repeat("x", 1<<20+1)), nil, CodeTooBig},
	{"as long as the limit", frame(0x82, true, strings.Repeat("x", 1<<20)), []string{"2:" + strings.Repeat("x", 1<<20)}, 0},
	{"fragments longer than the limit", join(frame(0x02, true, strings.Repeat("x", 1<<20)), frame(0x80, true, "x")), nil, CodeTooBig},
	{"a text that is not UTF-8", frame(0x81, true, "a\xffb"), nil, CodeInvalidData},
	{"a text that ends inside a character", frame(0x81, true, "a\xe2\x82"), nil, CodeInvalidData},
	{"fragments that end inside a character", join(frame(0x01, true, "\xe2"), frame(0x80, true, "\x82")), nil, CodeInvalidData},
	{"a surrogate", frame(0x81, true, "\xed\xa0\x80"), nil, CodeInvalidData},
	{"above U+10FFFF", frame(0x81, true, "\xf4\x90\x80\x80"), nil, CodeInvalidData},
	{"an overlong slash", frame(0x81, true, "\xc0\xaf"), nil, CodeInvalidData},
}

func TestFramesAreHeldAgainstTheRules(t *testing.T) {
	for _, c := range ruleTable {
		t.Run(c.name, func(t *testing.T) {
			cuts := map[string]func() int{"whole": whole, "bytes": func() int { return 1 }}
			if len(c.input) > 1<<16 {
				cuts = map[string]func() int{"whole": whole, "1000": func() int { return 1000 }}
			}
			for how, cut := range cuts {
				found, err := read(bytes.Clone(c.input), fromClient, cut)
				var wrong *ProtocolError
				code := 0
				if errors.As(err, &wrong) {
					code = wrong.Code
				}
				if code != c.code || !slices.Equal(found, c.found) {
					t.Errorf("%s: found %.80q and %v, want %.80q and code %d", how, found, err, c.found, c.code)
				}
			}
		})
	}
}

func TestAClientHoldsAServerAgainstTheRules(t *testing.T) {
	r := rules{maxMessage: 1 << 20}
	if found, err := read(frame(0x81, false, "hello"), r, whole); err != nil || !slices.Equal(found, []string{"1:hello"}) {
		t.Errorf("found %q and %v", found, err)
	}
	_, err := read(frame(0x81, true, "hello"), r, whole)
	if wrong := (*ProtocolError)(nil); !errors.As(err, &wrong) || wrong.Code != CodeProtocolError {
		t.Errorf("a masked frame of a server: %v", err)
	}
}

// Every cut of every frame: what comes in two pieces, or in pieces of any size, says the same.
func TestCutsDoNotMatter(t *testing.T) {
	long := strings.Repeat("grüße €", 50)
	input := join(frame(0x81, true, "grüße"), frame(0x01, true, "a€"[:2]), frame(0x89, true, "p"), frame(0x80, true, "a€"[2:]),
		frame(0x82, true, long), frame(0x81, true, ""), frame(0x88, true, "\x03\xe8bye"))
	want, err := read(bytes.Clone(input), fromClient, whole)
	if err != nil || len(want) != 6 {
		t.Fatalf("found %q and %v", want, err)
	}
	for at := range len(input) {
		first := true
		found, err := read(bytes.Clone(input), fromClient, func() int {
			if first && at > 0 {
				first = false
				return at
			}
			return 1 << 30
		})
		if err != nil || !slices.Equal(found, want) {
			t.Fatalf("cut at %d: found %q and %v", at, found, err)
		}
	}
	for size := 1; size < 40; size++ {
		if found, err := read(bytes.Clone(input), fromClient, func() int { return size }); err != nil || !slices.Equal(found, want) {
			t.Fatalf("in pieces of %d: found %q and %v", size, found, err)
		}
	}
}

// A text that can no longer become valid is told at the byte that makes it so.
func TestInvalidTextFailsAtOnce(t *testing.T) {
	const n = 40
	for at := range n {
		text := []byte(strings.Repeat("x", n))
		text[at] = 0xff
		input := frame(0x81, true, string(text))
		head := len(input) - n
		if found, err := read(bytes.Clone(input[:head+at]), fromClient, whole); err != nil || found != nil {
			t.Fatalf("before byte %d: found %q and %v", at, found, err)
		}
		if _, err := read(bytes.Clone(input[:head+at+1]), fromClient, whole); !errors.Is(err, error(errNotUTF8)) {
			t.Fatalf("at byte %d: %v", at, err)
		}
	}
	// Inside a character as well: F4 may be followed by 90, which is too large, only in what is not UTF-8.
	for _, bad := range []string{"\xf4\x90", "\xed\xa0", "\xe0\x80", "\xf0\x80", "\xc0", "\xf5", "a\x80"} {
		input := frame(0x81, true, bad+"xxxxxxxx")
		cut := len(input) - 8
		if _, err := read(bytes.Clone(input[:cut]), fromClient, func() int { return 1 }); err != errNotUTF8 {
			t.Errorf("%q: %v", bad, err)
		}
		two := join(frame(0x01, true, bad[:1]), frame(0x00, true, bad[1:]))
		if _, err := read(two, fromClient, whole); err != errNotUTF8 {
			t.Errorf("%q in two fragments: %v", bad, err)
		}
	}
}

func TestFramesOfAMessageAreLimited(t *testing.T) {
	r := fromClient
	r.maxFrames = 3
	three := join(frame(0x02, true, "a"), frame(0x00, true, "b"), frame(0x80, true, "c"))
	if found, err := read(join(three, three), r, whole); err != nil || len(found) != 2 {
		t.Errorf("found %q and %v", found, err)
	}
	_, err := read(join(frame(0x02, true, "a"), frame(0x00, true, "b"), frame(0x00, true, "c"), frame(0x80, true, "d")), r, whole)
	if wrong := (*ProtocolError)(nil); !errors.As(err, &wrong) || wrong.Code != CodePolicy {
		t.Errorf("four frames: %v", err)
	}
}

// A header that announces much, and then nothing, takes no memory.
func TestAnAnnouncementTakesNoMemory(t *testing.T) {
	r := fromClient
	r.maxMessage = 1 << 50
	var in *incoming
	n, _, err := next(&in, []byte{0x82, 0xff, 0, 0, 0x0f, 0, 0, 0, 0, 0, 1, 2, 3, 4, 'x'}, &r)
	if err != nil || n != 15 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if size := cap(in.buf.B); size > 4096 {
		t.Errorf("%d bytes of memory for one", size)
	}
	release(&in)
}

func TestStreamsPassPartsOn(t *testing.T) {
	r := rules{masked: true, streams: true, maxMessage: 1<<63 - 1}
	input := join(frame(0x01, true, "hel"), frame(0x89, true, "p"), frame(0x80, true, "lo"), frame(0x82, true, "x"))
	found, err := read(input, r, func() int { return 8 })
	if err != nil {
		t.Fatalf("found %q and %v", found, err)
	}
	text := ""
	for _, f := range found {
		if strings.HasPrefix(f, "1:") {
			text += f[2:]
		}
	}
	if text != "hello" || found[len(found)-1] != "2:x" {
		t.Errorf("found %q", found)
	}
}

func FuzzReader(f *testing.F) {
	for _, c := range ruleTable {
		if len(c.input) < 1000 {
			f.Add(c.input, uint64(3))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		r := rules{masked: seed&1 == 0, compressed: seed&2 != 0, maxMessage: 1 << 12, maxFrames: 20}
		want, wantErr := read(bytes.Clone(input), r, whole)
		random := rand.New(rand.NewPCG(seed, 0))
		found, err := read(bytes.Clone(input), r, func() int { return 1 + random.IntN(9) })
		// In pieces a wrong frame may be noticed sooner, or a wrong text, but nothing else is found.
		if (err == nil) != (wantErr == nil) || !slices.Equal(found, want) {
			t.Fatalf("whole: %q and %v\nin pieces: %q and %v", want, wantErr, found, err)
		}
		for _, m := range found {
			if len(m) > 1<<12+1<<6+1024+3 {
				t.Fatalf("a message of %d bytes", len(m))
			}
		}
	})
}
