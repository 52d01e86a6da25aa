//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// An abused service is one that hostile clients know how to speak to.
type abused struct {
	name    string
	args    []string
	clear   bool   // it has no TLS
	some    bool   // it is played on one engine in the clear and on the other over TLS
	at      string // what the log says before its address; "": "listening on "
	opening string // after which a connection is served
	request string
	partial string // the beginning of a message; whatever follows is more of it
	giant   string // the beginning of what is longer than may be
	control string // what asks for an answer of the protocol's own

	// good returns one exchange of a client that means well, with as many connections as it takes.
	good func(connect func() net.Conn) func() error
}

// exchanges is a good that sends something and expects something.
func exchanges(says, hears string) func(func() net.Conn) func() error {
	return func(connect func() net.Conn) func() error {
		conn := connect()
		return func() error {
			if _, err := io.WriteString(conn, says); err != nil {
				return err
			}
			got := make([]byte, len(hears))
			if _, err := io.ReadFull(conn, got); err != nil {
				return err
			}
			if string(got) != hears {
				return fmt.Errorf("%q came, not %q", got, hears)
			}
			return nil
		}
	}
}

// tells is a good of a service that says something to who connects, and ends: each exchange is a connection of its own.
func tells(complete func(said []byte) bool) func(func() net.Conn) func() error {
	return func(connect func() net.Conn) func() error {
		return func() error {
			conn := connect()
			defer conn.Close()
			got, err := io.ReadAll(conn)
			if err == nil && !complete(got) {
				err = fmt.Errorf("%q came", got)
			}
			return err
		}
	}
}

// masked is a frame of a WebSocket's client, with a key of zeros.
func masked(first byte, length uint64, body string) string {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return string(append(b, 0, 0, 0, 0)) + body
}

const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// chatUpgrade is how the chat's page opens its WebSocket.
var chatUpgrade = strings.Replace(upgrade, "GET / ", "GET /chat ", 1)

// entering is how it gets into a room, with a name of its own.
var entering = inFrame(`{"type":"hello","name":"x########","rooms":[{"room":"lobby"}]}`)

// numbered has a number in place of the eight signs in an opening that stand for it.
func numbered(opening string) string {
	return strings.Replace(opening, "########", fmt.Sprintf("%08d", rand.IntN(1e8)), 1)
}

// inFrame is a text frame of a WebSocket's client.
func inFrame(text string) string { return masked(0x81, uint64(len(text)), text) }

// upgraded makes a WebSocket of a connection.
func upgraded(conn io.Writer, in *bufio.Reader, request string) error {
	io.WriteString(conn, request)
	answer, err := http.ReadResponse(in, nil)
	if err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("no WebSocket: %s", answer.Status)
	}
	return err
}

// passesOn is a good of two connections: what one says, wrapped for the protocol, the other must hear. Everybody else speaks there
// too, and who reads too slowly misses something: so it is said again until it is heard. opening is what both begin with; with an
// upgrade it follows after that.
func passesOn(request, opening string, wrap func(text string) string) func(func() net.Conn) func() error {
	return func(connect func() net.Conn) func() error {
		open := func() (net.Conn, *bufio.Reader, error) {
			conn := connect()
			in := bufio.NewReaderSize(conn, 64<<10)
			if request != "" {
				if err := upgraded(conn, in, request); err != nil {
					return nil, nil, err
				}
			}
			_, err := io.WriteString(conn, numbered(opening))
			return conn, in, err
		}
		speaker, speakers, err1 := open()
		_, heard, err2 := open()
		if err := errors.Join(err1, err2); err != nil {
			return func() error { return err }
		}
		go io.Copy(io.Discard, speakers)
		n := 0
		return func() error {
			n++
			token := fmt.Sprintf("the good client's message %d.", n)
			over := make(chan struct{})
			defer close(over)
			go func() {
				for {
					io.WriteString(speaker, wrap(token))
					select {
					case <-over:
						return
					case <-time.After(500 * time.Millisecond):
					}
				}
			}()
			var last []byte
			for p := make([]byte, 64<<10); ; {
				k, err := heard.Read(p)
				if err != nil {
					return fmt.Errorf("%v: %q has not come", err, token)
				}
				last = append(last, p[:k]...)
				if bytes.Contains(last, []byte(token)) {
					return nil
				}
				last = last[max(0, len(last)-len(token)):]
			}
		}
	}
}

// greeting is ZMTP 3.0 with NULL security, and READY of a DEALER.
var greeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + strings.Repeat("\x00", 16+1+31) +
	"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"

func abusedServices(t *testing.T) []abused {
	dir := t.TempDir()
	page := strings.Repeat("a page of some length\n", 100)
	if err := os.WriteFile(dir+"/page", []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 32<<10)
	return []abused{
		{name: "echo", args: []string{"echo"}, request: long, partial: "x", giant: long, good: exchanges("hello", "hello")},
		{name: "lines", args: []string{"lines"}, request: "hello\n", partial: "hello", giant: long, good: exchanges("hello\n", "HELLO\n")},
		{name: "chargen", args: []string{"chargen"}, request: "x", partial: "x", giant: long, good: func(connect func() net.Conn) func() error {
			conn := connect()
			return func() error {
				_, err := io.CopyN(io.Discard, conn, 74*100)
				return err
			}
		}},
		{name: "discard", args: []string{"discard"}, some: true, request: long, partial: "x", giant: long,
			good: func(connect func() net.Conn) func() error {
				conn := connect()
				return func() error {
					_, err := io.WriteString(conn, "hello")
					return err
				}
			}},
		{name: "daytime", args: []string{"daytime"}, some: true, request: long, partial: "x", giant: long,
			good: tells(func(said []byte) bool { return len(said) > 20 && bytes.HasSuffix(said, []byte("\r\n")) })},
		{name: "time", args: []string{"time"}, some: true, request: long, partial: "x", giant: long,
			good: tells(func(said []byte) bool { return len(said) == 4 })},
		{name: "proxy", args: []string{"proxy", "--to", serve(t, "echo", "--quiet").addrs[0]}, request: long, partial: "x", giant: long,
			good: exchanges("hello", "hello")},
		{name: "web", args: []string{"web", "--root", dir}, request: "GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
			partial: "GET /page HTTP/1.1\r\nHost: x\r\nX: ", giant: "POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + long,
			control: "POST /page HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			good: func(connect func() net.Conn) func() error {
				conn := connect()
				in := bufio.NewReader(conn)
				return func() error {
					io.WriteString(conn, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
					answer, err := http.ReadResponse(in, nil)
					if err != nil {
						return err
					}
					got, err := io.ReadAll(answer.Body)
					if err == nil && string(got) != page {
						err = fmt.Errorf("a page of %d bytes came, with status %s", len(got), answer.Status)
					}
					return err
				}
			}},
		{name: "ws echo", args: []string{"echo"}, opening: upgrade, request: masked(0x82, 32<<10, long),
			partial: masked(0x02, 900_000, ""), giant: masked(0x82, 1<<62, long), control: masked(0x89, 4, "ping"),
			good: func(connect func() net.Conn) func() error {
				conn := connect()
				in := bufio.NewReader(conn)
				err := upgraded(conn, in, upgrade)
				return func() error {
					if err != nil {
						return err
					}
					io.WriteString(conn, masked(0x81, 5, "hello"))
					frame := make([]byte, 7)
					if _, err := io.ReadFull(in, frame); err != nil {
						return err
					}
					if string(frame) != "\x81\x05hello" {
						return fmt.Errorf("the frame %q came", frame)
					}
					return nil
				}
			}},
		{name: "relay", args: []string{"relay"}, some: true, request: long, partial: "x", giant: long,
			good: passesOn("", "", func(text string) string { return text })},
		{name: "relay lines", args: []string{"relay", "--lines"}, some: true, request: "hello\n", partial: "hello", giant: long,
			good: passesOn("", "", func(text string) string { return text + "\n" })},
		{name: "ws relay", args: []string{"relay"}, some: true, opening: upgrade, request: masked(0x82, 32<<10, long),
			partial: masked(0x02, 60_000, ""), giant: masked(0x82, 1<<62, long), control: masked(0x89, 4, "ping"),
			good: passesOn(upgrade, "", func(text string) string { return masked(0x81, uint64(len(text)), text) })},
		{name: "chat lines", args: []string{"chat", "--lines=127.0.0.1:0"}, some: true, at: "accepting lines on ",
			request: "hello\n/who\n/rooms\n/join another\n", partial: "hello", giant: long, control: "/help\n",
			good: passesOn("", "", func(text string) string { return text + "\n" })},
		{name: "chat", args: []string{"chat", "--lines="}, some: true, opening: chatUpgrade + entering,
			request: inFrame(`{"type":"say","room":"lobby","text":"hello"}`) + inFrame(`{"type":"rooms"}`), partial: masked(0x01, 10_000, ""),
			giant: masked(0x81, 1<<62, long), control: masked(0x89, 4, "ping"),
			good: passesOn(chatUpgrade, entering, func(text string) string {
				return inFrame(fmt.Sprintf(`{"type":"say","room":"lobby","text":%q}`, text))
			})},
		{name: "zmq-queue", args: []string{"zmq-queue"}, clear: true, opening: greeting, request: "\x01\x00\x02" + string(rune(0x7f)) + "\x80" + long[:384],
			partial: "\x02\x00\x00\x00\x00\x00\x0f\x00\x00", giant: "\x02\x00\x00\x00\x7f\xff\xff\xff\xff" + long, control: "\x04\x07\x04PING\x00\x00"},
	}
}
