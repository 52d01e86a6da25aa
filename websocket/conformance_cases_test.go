package websocket

import (
	"fmt"
	"strings"
)

// The cases of sections 1 to 7 of the Autobahn test suite, written anew for what they promise. The numbers are its own. A case
// is what a tester sends, and what an echo must answer.
type conformanceCase struct {
	id     string
	frames []rawFrame
	chop   int      // how many bytes are sent at a time; 0: all
	want   []string // messages and pongs
	code   int      // that the echo closes with; 0: the tester closes with 1000, and is answered
}

// A rawFrame is a frame as the tester sends it. first is its first byte.
type rawFrame struct {
	first   byte
	payload string
}

const (
	fin = 0x80

	cont, textOp, binaryOp, closing, ping, pong = 0, 1, 2, 8, 9, 10
)

func conformanceCases() (cases []conformanceCase) {
	add := func(id string, chop int, code int, want []string, frames ...rawFrame) {
		cases = append(cases, conformanceCase{id, frames, chop, want, code})
	}
	echoes := func(id string, chop int, kind byte, payload string) {
		add(id, chop, 0, []string{kindName(kind) + payload}, rawFrame{fin | kind, payload})
	}
	const goOn, protocol = 0, CodeProtocolError
	hello := rawFrame{fin | textOp, "Hello, world!"}
	helloBack := []string{"text:Hello, world!"}

	// 1: framing.
	for i, size := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		echoes(fmt.Sprintf("1.1.%d", i+1), 0, textOp, strings.Repeat("*", size))
		echoes(fmt.Sprintf("1.2.%d", i+1), 0, binaryOp, strings.Repeat("\xfe", size))
	}
	echoes("1.1.8", 997, textOp, strings.Repeat("*", 65536))
	echoes("1.2.8", 997, binaryOp, strings.Repeat("\xfe", 65536))

	// 2: pings and pongs.
	odd := "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
	full := strings.Repeat("\xfe", 125)
	add("2.1", 0, goOn, []string{"pong:"}, rawFrame{fin | ping, ""})
	add("2.2", 0, goOn, []string{"pong:Hello"}, rawFrame{fin | ping, "Hello"})
	add("2.3", 0, goOn, []string{"pong:" + odd}, rawFrame{fin | ping, odd})
	add("2.4", 0, goOn, []string{"pong:" + full}, rawFrame{fin | ping, full})
	add("2.5", 0, protocol, nil, rawFrame{fin | ping, full + "."})
	add("2.6", 1, goOn, []string{"pong:" + full}, rawFrame{fin | ping, full})
	add("2.7", 0, goOn, nil, rawFrame{fin | pong, ""})
	add("2.8", 0, goOn, nil, rawFrame{fin | pong, "unsolicited"})
	add("2.9", 0, goOn, []string{"pong:ping"}, rawFrame{fin | pong, "unsolicited"}, rawFrame{fin | ping, "ping"})
	var pings []rawFrame
	var pongs []string
	for i := range 10 {
		pings, pongs = append(pings, rawFrame{fin | ping, fmt.Sprint("ping ", i)}), append(pongs, fmt.Sprint("pong:ping ", i))
	}
	add("2.10", 0, goOn, pongs, pings...)
	add("2.11", 1, goOn, pongs, pings...)

	// 3: reserved bits.
	add("3.1", 0, protocol, nil, rawFrame{0x10 | fin | textOp, "Hello"})
	add("3.2", 0, protocol, helloBack, hello, rawFrame{0x20 | fin | textOp, "Hello"}, rawFrame{fin | ping, ""})
	add("3.3", 0, protocol, helloBack, hello, rawFrame{0x30 | fin | textOp, "Hello"}, rawFrame{fin | ping, ""})
	add("3.4", 1, protocol, helloBack, hello, rawFrame{0x40 | fin | textOp, "Hello"}, rawFrame{fin | ping, ""})
	add("3.5", 0, protocol, nil, rawFrame{0x50 | fin | binaryOp, odd})
	add("3.6", 0, protocol, nil, rawFrame{0x60 | fin | ping, "Hello"})
	add("3.7", 0, protocol, nil, rawFrame{0x70 | fin | closing, ""})

	// 4: reserved opcodes.
	for i := range 5 {
		for section, first := range []byte{3, 11} {
			op := first + byte(i)
			if i < 2 {
				add(fmt.Sprintf("4.%d.%d", section+1, i+1), 0, protocol, nil, rawFrame{fin | op, strings.Repeat("x", i)})
			} else {
				add(fmt.Sprintf("4.%d.%d", section+1, i+1), i%2, protocol, helloBack, hello, rawFrame{fin | op, "x"}, rawFrame{fin | ping, ""})
			}
		}
	}

	// 5: fragments.
	one, two := "fragment1", "fragment2"
	both := []string{"text:" + one + two}
	add("5.1", 0, protocol, nil, rawFrame{ping, one}, rawFrame{fin | cont, two})
	add("5.2", 0, protocol, nil, rawFrame{pong, one}, rawFrame{fin | cont, two})
	for i, chop := range []int{0, 10, 1} {
		add(fmt.Sprintf("5.%d", 3+i), chop, goOn, both, rawFrame{textOp, one}, rawFrame{fin | cont, two})
		add(fmt.Sprintf("5.%d", 6+i), chop, goOn, append([]string{"pong:ping"}, both...), rawFrame{textOp, one}, rawFrame{fin | ping, "ping"}, rawFrame{fin | cont, two})
	}
	for i, chop := range []int{0, 10, 1} {
		add(fmt.Sprintf("5.%d", 9+i), chop, protocol, nil, rawFrame{fin | cont, "no beginning"}, hello)
		add(fmt.Sprintf("5.%d", 12+i), chop, protocol, nil, rawFrame{cont, "no beginning"}, hello)
	}
	add("5.15", 0, protocol, both, rawFrame{textOp, one}, rawFrame{fin | cont, two}, rawFrame{cont, "fragment3"}, rawFrame{fin | textOp, "fragment4"})
	add("5.16", 0, protocol, nil, rawFrame{cont, one}, rawFrame{textOp, two}, rawFrame{fin | cont, "fragment3"})
	add("5.17", 0, protocol, nil, rawFrame{fin | cont, one}, rawFrame{textOp, two}, rawFrame{fin | cont, "fragment3"})
	add("5.18", 0, protocol, nil, rawFrame{textOp, one}, rawFrame{fin | textOp, two})
	five := []rawFrame{{textOp, "1"}, {cont, "2"}, {fin | ping, "pongme 1"}, {cont, "3"}, {cont, "4"}, {fin | ping, "pongme 2"}, {fin | cont, "5"}}
	add("5.19", 0, goOn, []string{"pong:pongme 1", "pong:pongme 2", "text:12345"}, five...)
	add("5.20", 1, goOn, []string{"pong:pongme 1", "pong:pongme 2", "text:12345"}, five...)

	// 6: UTF-8.
	add("6.1.1", 0, goOn, []string{"text:"}, rawFrame{fin | textOp, ""})
	add("6.1.2", 0, goOn, []string{"text:"}, rawFrame{textOp, ""}, rawFrame{cont, ""}, rawFrame{fin | cont, ""})
	add("6.1.3", 0, goOn, []string{"text:middle"}, rawFrame{textOp, ""}, rawFrame{cont, "middle"}, rawFrame{fin | cont, ""})
	good := "Hello-µ@ßöäüàá-UTF-8!!"
	add("6.2.1", 0, goOn, []string{"text:" + good}, rawFrame{fin | textOp, good})
	add("6.2.2", 0, goOn, []string{"text:" + good}, rawFrame{textOp, good[:12]}, rawFrame{fin | cont, good[12:]})
	add("6.2.3", 0, goOn, []string{"text:" + good}, perByte(good)...)
	add("6.2.4", 1, goOn, []string{"text:κόσμε"}, perByte("κόσμε")...)
	bad := "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"
	add("6.3.1", 0, CodeInvalidData, nil, rawFrame{fin | textOp, bad})
	add("6.3.2", 0, CodeInvalidData, nil, perByte(bad)...)
	begin, wrong, rest := "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", "\xf4\x90\x80\x80", "edited"
	add("6.4.1", 0, CodeInvalidData, nil, rawFrame{textOp, begin}, rawFrame{cont, wrong}, rawFrame{fin | cont, rest})
	add("6.4.2", 0, CodeInvalidData, nil, rawFrame{textOp, begin + "\xf4"}, rawFrame{cont, "\x90"}, rawFrame{fin | cont, rest})
	add("6.4.3", len(begin)+6, CodeInvalidData, nil, rawFrame{fin | textOp, begin + wrong + rest})
	add("6.4.4", len(begin)+7, CodeInvalidData, nil, rawFrame{fin | textOp, begin + wrong + rest})
	for section, texts := range utf8Texts {
		for i, s := range texts {
			payload, valid := strings.CutPrefix(s, "+")
			if valid {
				add(fmt.Sprintf("6.%d.%d", section+5, i+1), 0, goOn, []string{"text:" + payload}, rawFrame{fin | textOp, payload})
				add(fmt.Sprintf("6.%d.%d in bytes", section+5, i+1), 0, goOn, []string{"text:" + payload}, perByte(payload)...)
			} else {
				payload = payload[1:]
				add(fmt.Sprintf("6.%d.%d", section+5, i+1), 0, CodeInvalidData, nil, rawFrame{fin | textOp, payload})
				add(fmt.Sprintf("6.%d.%d in bytes", section+5, i+1), 0, CodeInvalidData, nil, perByte(payload)...)
			}
		}
	}

	// 7: closing.
	end := rawFrame{fin | closing, "\x03\xe8"}
	add("7.1.1", 0, CodeNormal, helloBack, hello, end)
	add("7.1.2", 0, CodeNormal, nil, end, end)
	add("7.1.3", 0, CodeNormal, nil, end, rawFrame{fin | ping, ""})
	add("7.1.4", 0, CodeNormal, nil, end, hello)
	add("7.1.5", 0, CodeNormal, nil, rawFrame{textOp, one}, end, rawFrame{fin | cont, two})
	long := strings.Repeat("BAsd7&jh23", 26_000)
	add("7.1.6", 0, CodeNormal, []string{"text:" + long, "text:Hello, world!"}, rawFrame{fin | textOp, long}, hello, end, rawFrame{fin | ping, ""})
	add("7.3.1", 0, CodeNone, nil, rawFrame{fin | closing, ""})
	add("7.3.2", 0, protocol, nil, rawFrame{fin | closing, "a"})
	add("7.3.3", 0, CodeNormal, nil, end)
	add("7.3.4", 0, CodeNormal, nil, rawFrame{fin | closing, "\x03\xe8Hello World!"})
	add("7.3.5", 0, CodeNormal, nil, rawFrame{fin | closing, "\x03\xe8" + strings.Repeat("*", 123)})
	add("7.3.6", 0, protocol, nil, rawFrame{fin | closing, "\x03\xe8" + strings.Repeat("*", 124)})
	add("7.5.1", 0, CodeInvalidData, nil, rawFrame{fin | closing, "\x03\xe8" + bad})
	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999, 1012, 1013, 1014} {
		add(fmt.Sprintf("7.7.%d", i+1), 0, code, nil, rawFrame{fin | closing, string([]byte{byte(code >> 8), byte(code)})})
	}
	for i, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535} { // the last two are 7.13
		add(fmt.Sprintf("7.9.%d", i+1), 0, protocol, nil, rawFrame{fin | closing, string([]byte{byte(code >> 8), byte(code)})})
	}
	return cases
}

func kindName(kind byte) string { return map[byte]string{textOp: "text:", binaryOp: "binary:"}[kind] }

// perByte is a text with a frame for each byte.
func perByte(s string) (frames []rawFrame) {
	for i := range len(s) {
		f := rawFrame{cont, s[i : i+1]}
		if i == 0 {
			f.first = textOp
		}
		if i == len(s)-1 {
			f.first |= fin
		}
		frames = append(frames, f)
	}
	return frames
}

// utf8Texts are those of sections 6.5 to 6.23, valid ones behind a plus, which follow Markus Kuhn's test file for UTF-8
// decoders.
var utf8Texts = [][]string{
	{"+\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", "-\xce", "-\xce\xba\xe1", "-\xce\xba\xe1\xbd", "-\xce\xba\xe1\xbd\xb9\xcf", "-\xce\xba\xe1\xbd\xb9\xcf\x83\xce"},
	{"+\x00", "+\xc2\x80", "+\xe0\xa0\x80", "+\xf0\x90\x80\x80"},                // the first of each length
	{"-\xf8\x88\x80\x80\x80", "-\xfc\x84\x80\x80\x80\x80"},                      // five and six bytes
	{"+\x7f", "+\xdf\xbf", "+\xef\xbf\xbf", "+\xf4\x8f\xbf\xbf"},                // the last of each length
	{"-\xf7\xbf\xbf\xbf", "-\xfb\xbf\xbf\xbf\xbf", "-\xfd\xbf\xbf\xbf\xbf\xbf"}, // too large
	{"+\xed\x9f\xbf", "+\xee\x80\x80", "+\xef\xbf\xbd", "+\xf4\x8f\xbf\xbf", "-\xf4\x90\x80\x80"},
	{"-\x80", "-\xbf", "-\x80\xbf", "-\x80\xbf\x80", "-\x80\xbf\x80\xbf", "-\x80\xbf\x80\xbf\x80", "-\x80\xbf\x80\xbf\x80\xbf", "-\x81\x82"}, // nothing begins
	{"-\xc0 \xc1 \xc2 \xc3 ", "-\xe0 \xe1 \xe2 ", "-\xf0 \xf1 \xf2 ", "-\xf8 \xf9 ", "-\xfc \xfd "},                                          // nothing follows
	{"-\xc0", "-\xe0\x80", "-\xf0\x80\x80", "-\xf8\x80\x80\x80", "-\xfc\x80\x80\x80\x80", "-\xdf", "-\xef\xbf", "-\xf7\xbf\xbf", "-\xfb\xbf\xbf\xbf", "-\xfd\xbf\xbf\xbf\xbf"},
	{"-\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf"},
	{"-\xfe", "-\xff", "-\xfe\xfe\xff\xff"},
	{"-\xc0\xaf", "-\xe0\x80\xaf", "-\xf0\x80\x80\xaf", "-\xf8\x80\x80\x80\xaf", "-\xfc\x80\x80\x80\x80\xaf"}, // longer than need be
	{"-\xc1\xbf", "-\xe0\x9f\xbf", "-\xf0\x8f\xbf\xbf", "-\xf8\x87\xbf\xbf\xbf", "-\xfc\x83\xbf\xbf\xbf\xbf"},
	{"-\xc0\x80", "-\xe0\x80\x80", "-\xf0\x80\x80\x80", "-\xf8\x80\x80\x80\x80", "-\xfc\x80\x80\x80\x80\x80"},
	{"-\xed\xa0\x80", "-\xed\xad\xbf", "-\xed\xae\x80", "-\xed\xaf\xbf", "-\xed\xb0\x80", "-\xed\xbe\x80", "-\xed\xbf\xbf"}, // surrogates
	{"-\xed\xa0\x80\xed\xb0\x80", "-\xed\xa0\x80\xed\xbf\xbf", "-\xed\xad\xbf\xed\xb0\x80", "-\xed\xad\xbf\xed\xbf\xbf", "-\xed\xae\x80\xed\xb0\x80", "-\xed\xae\x80\xed\xbf\xbf", "-\xed\xaf\xbf\xed\xb0\x80", "-\xed\xaf\xbf\xed\xbf\xbf"},
	{"+\xef\xbf\xbe", "+\xef\xbf\xbf"}, // no characters, and valid
	{"+\xf0\x9f\xbf\xbe", "+\xf0\x9f\xbf\xbf", "+\xf0\xaf\xbf\xbe", "+\xf1\x8f\xbf\xbf", "+\xf4\x8f\xbf\xbe"},
	{"+\xef\xbf\xbd", "+\xef\xbf\xbc"},
}
