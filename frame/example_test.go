package frame_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/switchboard-go/switchboard/frame"
)

func Example() {
	format := frame.LengthPrefix(2, binary.BigEndian, 512)

	// Frame two messages into one buffer.
	var stream []byte
	for _, message := range []string{"hello", "world"} {
		var err error
		if stream, err = format.Append(stream, []byte(message)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%q\n", stream)

	// Read them again. A connection takes the place of the strings.Reader.
	messages := frame.NewScanner(strings.NewReader(string(stream)), format)
	for messages.Scan() {
		fmt.Println(messages.Text())
	}
	if err := messages.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// "\x00\x05hello\x00\x05world"
	// hello
	// world
}

func ExampleLines() {
	messages := frame.NewScanner(strings.NewReader("LF\nCRLF\r\nbroken of"), frame.Lines(80))
	for messages.Scan() {
		fmt.Printf("%q\n", messages.Bytes())
	}
	fmt.Println(messages.Err())
	// Output:
	// "LF"
	// "CRLF"
	// split lines: stream ended inside a message: unexpected EOF: 9 bytes of it were there
}

func ExampleByType() {
	// A ping, a key with 8 bytes of it, a position with two numbers of 4 bytes.
	format := frame.ByType(func(typ byte) int {
		switch typ {
		case 'p':
			return 0
		case 'k', 'x':
			return 8
		}
		return -1
	}, 0)
	messages := frame.NewScanner(strings.NewReader("pk12345678pz"), format)
	for messages.Scan() {
		fmt.Printf("%c %q\n", messages.Bytes()[0], messages.Bytes()[1:])
	}
	fmt.Println(messages.Err())
	// Output:
	// p ""
	// k "12345678"
	// p ""
	// split message by type: malformed frame: unknown type 0x7a
}

func ExampleFormat_CountingItself() {
	framed, err := frame.LengthPrefix(4, binary.BigEndian, 0).CountingItself().Append(nil, []byte("hello"))
	fmt.Printf("%q %v\n", framed, err)
	// Output: "\x00\x00\x00\thello" <nil>
}

func ExampleFormat_Append_tooLong() {
	_, err := frame.Netstring(4).Append(nil, []byte("hello"))
	fmt.Println(err)
	// Output: append netstring: message too long: 5 bytes, the limit is 4
}
