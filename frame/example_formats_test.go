package frame_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/switchboard-go/switchboard/frame"
)

func ExampleFixed() {
	messages := frame.NewScanner(strings.NewReader("onetwo"), frame.Fixed(3))
	for messages.Scan() {
		fmt.Println(messages.Text())
	}
	// Output:
	// one
	// two
}

func ExampleDelimiter() {
	messages := frame.NewScanner(strings.NewReader("one\x00two\x00"), frame.Delimiter("\x00", 100))
	for messages.Scan() {
		fmt.Println(messages.Text())
	}
	// Output:
	// one
	// two
}

func ExampleLinesCRLF() {
	framed, err := frame.LinesCRLF(100).Append(nil, []byte("hello"))
	fmt.Printf("%q %v\n", framed, err)
	// Output: "hello\r\n" <nil>
}

func ExampleLengthPrefix() {
	format := frame.LengthPrefix(2, binary.BigEndian, 1000)
	framed, err := format.Append(nil, []byte("hello"))
	fmt.Printf("%q %v\n", framed, err)
	// Output: "\x00\x05hello" <nil>
}

func ExampleDecimal() {
	framed, err := frame.Decimal(5, 1000).Append(nil, []byte("hello"))
	fmt.Printf("%q %v\n", framed, err)
	// Output: "00005hello" <nil>
}

func ExampleVarint() {
	framed, err := frame.Varint(1000).Append(nil, []byte("hello"))
	fmt.Printf("%q %v\n", framed, err)
	// Output: "\x05hello" <nil>
}

func ExampleNetstring() {
	framed, err := frame.Netstring(1000).Append(nil, []byte("hello"))
	fmt.Printf("%q %v\n", framed, err)
	// Output: "5:hello," <nil>
}

func ExampleEndOfStream() {
	messages := frame.NewScanner(strings.NewReader("all of it\nis one message"), frame.EndOfStream(1000))
	for messages.Scan() {
		fmt.Printf("%q\n", messages.Text())
	}
	// Output: "all of it\nis one message"
}

// A peer that claims a long message does not get memory for it.
func ExampleNewScanner() {
	messages := frame.NewScanner(strings.NewReader("\xff\xff\xff\xff"), frame.LengthPrefix(4, nil, 1000))
	for messages.Scan() {
		fmt.Println(messages.Text())
	}
	fmt.Println(messages.Err())
	// Output: split length prefix: message too long: 4294967295 bytes, the limit is 1000
}

// Split finds messages in a buffer, without a reader.
func ExampleFormat_Split() {
	lines := frame.Lines(100)
	data := []byte("one\ntwo\nthr")
	for {
		n, line, err := lines.Split(data, false)
		if err != nil || n == 0 {
			fmt.Printf("%q is left, %v\n", data, err)
			break
		}
		fmt.Printf("%s\n", line)
		data = data[n:]
	}
	// Output:
	// one
	// two
	// "thr" is left, <nil>
}
