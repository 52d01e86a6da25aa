// Byteorder sends binary numbers: a server that adds, and its client.
//
// It teaches that the bytes of a number have an order, which differs between machines, so that a protocol must say
// which: network byte order, the most significant byte first. In Go, encoding/binary reads and writes it and the
// machine's own order never shows. Htons and its kin, which C and Python programs use, swap a number's bytes where the
// machine has the other order.
//
//	go run ./examples/byteorder -listen 127.0.0.1:7007
//	go run ./examples/byteorder -to 127.0.0.1:7007 300 -1
//
// A request is two signed numbers of 32 bits, a reply their sum in 64 bits: in Python, struct.pack("!ii", 300, -1) and
// struct.unpack("!q", reply).
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/socket"
)

const patience = 10 * time.Second // for each call on a connection

func main() {
	log.SetFlags(0)
	log.SetPrefix("byteorder: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: byteorder [-listen address] | -to address number number") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	to := flag.String("to", "", "")
	flag.Parse()

	var err error
	switch {
	case *to != "" && flag.NArg() == 2:
		err = ask(*to, flag.Arg(0), flag.Arg(1))
	case *to == "" && flag.NArg() == 0:
		err = serve(*address)
	default:
		err = fmt.Errorf("%d arguments: give two numbers with -to, and none with -listen", flag.NArg())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func ask(address, a, b string) error {
	var request []byte
	for _, arg := range []string{a, b} {
		n, err := strconv.ParseInt(arg, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number of 32 bits", arg)
		}
		request = binary.BigEndian.AppendUint32(request, uint32(n))
	}
	conn, err := socket.CreateConnection(context.Background(), address, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetTimeout(patience)
	if _, err := conn.SendAll(request); err != nil {
		return err
	}
	reply := make([]byte, 8)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return err
	}
	fmt.Printf("sent     % x\n", request)
	fmt.Printf("received % x\n", reply)
	fmt.Printf("%s + %s = %d\n", a, b, int64(binary.BigEndian.Uint64(reply)))
	return nil
}

func serve(address string) error {
	server, err := socket.CreateServer(address, nil)
	if err != nil {
		return err
	}
	own, err := server.LocalAddr()
	if err != nil {
		return err
	}
	fmt.Println("listening on", own)

	// Htons and binary.BigEndian come to the same bytes.
	port := uint16(own.Port())
	here := binary.NativeEndian.AppendUint16(nil, port)
	swapped := binary.NativeEndian.AppendUint16(nil, socket.Htons(port))
	network := binary.BigEndian.AppendUint16(nil, port)
	fmt.Printf("port %d: % x on this machine, % x after Htons, % x from binary.BigEndian\n", port, here, swapped, network)

	for {
		conn, peer, err := server.Accept()
		if err != nil {
			return err
		}
		conn.SetTimeout(patience)
		if err := add(conn); err != nil {
			log.Printf("client %v: %v", peer, err)
		}
		conn.Close()
	}
}

func add(conn *socket.Socket) error {
	requests := frame.NewScanner(conn, frame.Fixed(8))
	for requests.Scan() {
		a := int32(binary.BigEndian.Uint32(requests.Bytes()))
		b := int32(binary.BigEndian.Uint32(requests.Bytes()[4:]))
		if _, err := conn.SendAll(binary.BigEndian.AppendUint64(nil, uint64(int64(a)+int64(b)))); err != nil {
			return err
		}
	}
	return requests.Err()
}
