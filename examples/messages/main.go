// Messages shows the ways to send messages on a stream: a server that answers each message in upper case, and its client.
//
// It teaches that TCP carries bytes, not messages: what one Send sent may arrive in two Recvs, or together with the next. So a
// protocol must say where a message ends. Four usual ways, by -format:
//
//	fixed      16 bytes each, filled up with spaces
//	lines      a line feed ends each
//	length     a length of 4 bytes, most significant first, precedes each
//	type       one byte says what it is: 'b' is followed by 1 byte, 'w' by 4, 'q' by 8
//
// The client prints the bytes that it sends, and sends them one at a time to show that the server puts them together:
//
//	go run ./examples/messages -format length -listen 127.0.0.1:7007
//	go run ./examples/messages -format length -to 127.0.0.1:7007 hello world
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/socket"
)

const (
	patience = 10 * time.Second // for each call on a connection
	limit    = 1000             // bytes of a message
)

var formats = map[string]frame.Format{
	"fixed":  frame.Fixed(16),
	"lines":  frame.Lines(limit),
	"length": frame.LengthPrefix(4, binary.BigEndian, limit),
	"type": frame.ByType(func(kind byte) int {
		switch kind | 0x20 { // the answer's type is in upper case, too
		case 'b':
			return 1
		case 'w':
			return 4
		case 'q':
			return 8
		}
		return -1
	}, limit),
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("messages: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: messages [-format fixed|lines|length|type] [-listen address] | -to address message...")
	}
	name := flag.String("format", "lines", "")
	address := flag.String("listen", "127.0.0.1:7007", "")
	to := flag.String("to", "", "")
	flag.Parse()

	format, known := formats[*name]
	var err error
	switch {
	case !known:
		err = fmt.Errorf("-format %q: there are fixed, lines, length and type", *name)
	case *to != "" && flag.NArg() > 0:
		err = ask(*to, *name, flag.Args())
	case *to == "" && flag.NArg() == 0:
		err = serve(*address, format)
	default:
		err = fmt.Errorf("%d arguments: give messages with -to, and none with -listen", flag.NArg())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(address string, format frame.Format) error {
	server, err := socket.CreateServer(address, nil)
	if err != nil {
		return err
	}
	if own, err := server.LocalAddr(); err == nil {
		fmt.Println("listening on", own)
	}
	for {
		conn, peer, err := server.Accept()
		if err != nil {
			return err
		}
		conn.SetTimeout(patience)
		if err := answer(conn, format); err != nil {
			log.Printf("client %v: %v", peer, err)
		}
		conn.Close()
	}
}

func answer(conn *socket.Socket, format frame.Format) error {
	messages := frame.NewScanner(conn, format)
	for messages.Scan() {
		reply, err := format.Append(nil, bytes.ToUpper(messages.Bytes()))
		if err != nil {
			return err
		}
		if _, err := conn.SendAll(reply); err != nil {
			return err
		}
	}
	return messages.Err()
}

func ask(address, name string, messages []string) error {
	conn, err := socket.CreateConnection(context.Background(), address, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetTimeout(patience)
	format := formats[name]
	replies := frame.NewScanner(conn, format)
	for _, message := range messages {
		if name == "fixed" {
			message = fmt.Sprintf("%-16s", message)
		}
		bytes, err := format.Append(nil, []byte(message))
		if err != nil {
			return err
		}
		fmt.Printf("sent %q\n", bytes)
		for i := range bytes {
			if _, err := conn.SendAll(bytes[i : i+1]); err != nil {
				return err
			}
		}
		if !replies.Scan() {
			if err := replies.Err(); err != nil {
				return err
			}
			return io.ErrUnexpectedEOF
		}
		fmt.Printf("received %q\n", replies.Bytes())
	}
	return nil
}
