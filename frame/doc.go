// Package frame finds where one message of a byte stream ends and the next begins.
//
// A stream socket carries bytes, not messages: what one send wrote may arrive in pieces, or joined to the next. There
// are five ways to tell messages apart, and a Format for each:
//
//	fixed size           Fixed(16)
//	delimiter            Lines(max), LinesCRLF(max), Delimiter("\x00", max)
//	length before it     LengthPrefix(4, binary.BigEndian, max), Decimal(5, max), Varint(max), Netstring(max)
//	type decides size    ByType(size, max)
//	end of stream        EndOfStream(max)
//
// Format.Split is a bufio.SplitFunc, for a bufio.Scanner on a blocking connection and for event loops
// (switchboard.Frames). Format.Append appends a message with its frame to a buffer of the caller. No format uses more memory
// for a message than its max, whatever length the peer claims.
//
// This server answers each line in upper case:
//
//	package main
//
//	import (
//		"bytes"
//		"log"
//		"net"
//
//		"github.com/switchboard-go/switchboard/frame"
//	)
//
//	func main() {
//		l, err := net.Listen("tcp", "127.0.0.1:7007")
//		if err != nil {
//			log.Fatal(err)
//		}
//		for {
//			c, err := l.Accept()
//			if err != nil {
//				log.Fatal(err)
//			}
//			go serve(c)
//		}
//	}
//
//	func serve(c net.Conn) {
//		defer c.Close()
//		lines := frame.Lines(4096) // a longer line ends the connection
//		var reply []byte
//		messages := frame.NewScanner(c, lines)
//		for messages.Scan() {
//			var err error
//			if reply, err = lines.Append(reply[:0], bytes.ToUpper(messages.Bytes())); err != nil {
//				log.Print(c.RemoteAddr(), ": ", err)
//				return
//			}
//			if _, err = c.Write(reply); err != nil {
//				return
//			}
//		}
//		if err := messages.Err(); err != nil {
//			log.Print(c.RemoteAddr(), ": ", err)
//		}
//	}
package frame
