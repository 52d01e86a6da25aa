// Ping asks a host whether it is there, and says how long the answer took.
//
// It teaches raw sockets: a message of ICMP is written byte by byte, with its checksum, and what comes back is picked
// out of all the ICMP that this machine receives. A raw socket needs root (or CAP_NET_RAW). With -unprivileged the system
// picks the answers out, and lets a group of users do so (Linux: net.ipv4.ping_group_range).
//
//	go run ./examples/ping 127.0.0.1
//	go run ./examples/ping -count 3 -unprivileged ::1
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("ping: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: ping [-count n] [-interval d] [-wait d] [-unprivileged] host")
	}
	count := flag.Int("count", 4, "")
	interval := flag.Duration("interval", time.Second, "")
	wait := flag.Duration("wait", time.Second, "")
	unprivileged := flag.Bool("unprivileged", false, "")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatalf("%d arguments: give one host", flag.NArg())
	}
	p, err := open(flag.Arg(0), *unprivileged)
	if err != nil {
		log.Fatal(err)
	}
	defer p.sock.Close()
	fmt.Println("ping", p.to.AddrPort().Addr())
	received := 0
	for seq := 1; seq <= *count; seq++ {
		start := time.Now()
		if p.ask(seq, *wait) {
			received++
		}
		if seq < *count {
			time.Sleep(*interval - time.Since(start))
		}
	}
	fmt.Printf("%d sent, %d received\n", *count, received)
	if received == 0 {
		os.Exit(1)
	}
}

type pinger struct {
	sock  *socket.Socket
	to    socket.Addr
	types messageTypes
	id    uint16 // tells our messages from those of another ping
	nonce [8]byte
}

// Types of ICMP messages: RFC 792 and RFC 4443.
type messageTypes struct {
	echo, reply, unreachable, exceeded byte
	ipHeader                           int // the least size of the header of IP in front of a message that comes back
}

var (
	icmp   = messageTypes{echo: 8, reply: 0, unreachable: 3, exceeded: 11, ipHeader: 20}
	icmpv6 = messageTypes{echo: 128, reply: 129, unreachable: 1, exceeded: 3, ipHeader: 40}
)

const headerSize = 8 // type, code, checksum, id, sequence number

func open(host string, unprivileged bool) (*pinger, error) {
	hints := socket.AddrInfo{Type: socket.SOCK_RAW}
	list, err := socket.GetAddrInfo(context.Background(), host, "", &hints)
	if err != nil {
		return nil, err
	}
	p := &pinger{to: list[0].Addr, types: icmp, id: uint16(os.Getpid())}
	binary.NativeEndian.PutUint64(p.nonce[:], rand.Uint64())
	protocol := socket.IPPROTO_ICMP
	if list[0].Family == socket.AF_INET6 {
		p.types, protocol = icmpv6, socket.IPPROTO_ICMPV6
	}
	kind := socket.SOCK_RAW
	if unprivileged {
		kind = socket.SOCK_DGRAM
	}
	p.sock, err = socket.New(list[0].Family, kind, protocol)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w: be root, or try -unprivileged", err)
	}
	return p, err
}

// ask sends one message, waits for its answer and reports whether it came.
func (p *pinger) ask(seq int, wait time.Duration) bool {
	start := time.Now()
	if _, err := p.sock.SendTo(p.message(seq), p.to); err != nil {
		fmt.Printf("seq %d: %v\n", seq, err)
		return false
	}
	p.sock.SetReadDeadline(start.Add(wait))
	buf := make([]byte, 2048)
	for {
		n, from, err := p.sock.RecvFrom(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			fmt.Printf("seq %d: no answer after %v\n", seq, wait)
			return false
		case err != nil:
			fmt.Printf("seq %d: %v\n", seq, err)
			return false
		}
		host := from.AddrPort().Addr()
		switch text := p.read(buf[:n], seq); text {
		case "":
			continue // somebody else's
		case reply:
			fmt.Printf("%d bytes from %v: seq %d, %v\n", n, host, seq, time.Since(start).Round(time.Microsecond))
			return true
		default:
			fmt.Printf("seq %d: %v says: %s\n", seq, host, text)
			return false
		}
	}
}

func (p *pinger) message(seq int) []byte {
	b := []byte{p.types.echo, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, p.id)
	b = binary.BigEndian.AppendUint16(b, uint16(seq))
	b = append(b, p.nonce[:]...)
	b = append(b, bytes.Repeat([]byte{'.'}, 48)...) // as many bytes as ping(8) sends
	if p.to.Family() == socket.AF_INET {
		// The checksum of ICMPv6 also covers the addresses of IP: the kernel sees to it.
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// checksum is that of RFC 1071: all 16-bit words added in ones' complement, and the sum inverted.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

const reply = "here"

// read tells what a message says to ours: reply, something else, or "" when it is about another.
func (p *pinger) read(b []byte, seq int) string {
	// A raw socket of IPv4 gets the IP header too, and on macOS each does. No message of ICMP that comes here begins so.
	if len(b) > 0 && b[0]>>4 == 4 && p.types == icmp {
		b = b[min(int(b[0]&15)*4, len(b)):]
	}
	if len(b) < headerSize {
		return ""
	}
	kind := b[0]
	if kind == p.types.reply {
		// With -unprivileged the system puts an id of its own in the place of ours, hence the nonce.
		if binary.BigEndian.Uint16(b[6:]) == uint16(seq) && bytes.HasPrefix(b[headerSize:], p.nonce[:]) {
			return reply
		}
		return ""
	}
	if kind != p.types.unreachable && kind != p.types.exceeded {
		return ""
	}
	// The beginning of the message that did not arrive follows, with its IP header.
	b = b[headerSize:]
	header := p.types.ipHeader
	if p.types == icmp && len(b) > 0 {
		header = int(b[0]&15) * 4
	}
	if len(b) < header+headerSize || b[header] != p.types.echo ||
		binary.BigEndian.Uint16(b[header+4:]) != p.id || binary.BigEndian.Uint16(b[header+6:]) != uint16(seq) {
		return ""
	}
	if kind == p.types.exceeded {
		return "too many routers on the way"
	}
	return "the host cannot be reached"
}
