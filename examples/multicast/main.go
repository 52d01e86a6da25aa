// Multicast says something to a group of programs, on any machine of the network, or hears what is said there.
//
// It teaches multicast: who wants to hear joins a group, which is an address, on a network interface; who speaks sends
// one datagram to the address and need not know who hears. With -source a program hears one speaker alone.
//
//	go run ./examples/multicast -interface eth0 239.7.7.7:7007
//	go run ./examples/multicast -interface eth0 239.7.7.7:7007 hello everybody
//
// A group of IPv6 is written [ff15::7007]:7007. The loopback interface is lo on Linux, and lo0 on
// macOS and the BSDs.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("multicast: ")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: multicast [-interface name] [-source address] group:port [message...]")
	}
	name := flag.String("interface", "", "")
	source := flag.String("source", "", "")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("no group: give one, such as 239.7.7.7:7007")
	}
	group, err := socket.ParseAddr(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	if ip := group.AddrPort().Addr(); ip.Is6() && *name != "" {
		// A group that does not leave the network has its interface in its address.
		group = socket.InetAddr(netip.AddrPortFrom(ip.WithZone(*name), uint16(group.Port())))
	}
	if flag.NArg() > 1 {
		err = say(group, *name, strings.Join(flag.Args()[1:], " "))
	} else {
		err = hear(group, *name, *source)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func say(group socket.Addr, name, message string) error {
	sock, err := socket.New(group.Family(), socket.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer sock.Close()
	if err := sock.SetMulticastInterface(name); err != nil {
		return err
	}
	_, err = sock.SendTo([]byte(message), group)
	return err
}

func hear(group socket.Addr, name, source string) error {
	sock, err := socket.New(group.Family(), socket.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer sock.Close()
	// Several programs of a machine may hear the same group. Bound to it, and not to every address, each hears that alone.
	if err := sock.SetReuseAddr(true); err != nil {
		return err
	}
	own := group
	if runtime.GOOS == "windows" { // which binds no socket to a group
		own = socket.InetAddr(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(group.Port())))
		if group.Family() == socket.AF_INET6 {
			own = socket.InetAddr(netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(group.Port())))
		}
	}
	if err := sock.Bind(own); err != nil {
		return err
	}
	ip := group.AddrPort().Addr()
	if source == "" {
		err = sock.JoinGroup(ip, name)
	} else {
		var speaker netip.Addr
		if speaker, err = netip.ParseAddr(source); err == nil {
			err = sock.JoinSource(ip, speaker, name)
		}
	}
	if err != nil {
		return err
	}
	if own, err = sock.LocalAddr(); err != nil {
		return err
	}
	fmt.Println("listening on", own)
	buf := make([]byte, 65535)
	for {
		n, from, err := sock.RecvFrom(buf)
		if err != nil {
			return err
		}
		fmt.Printf("%v: %s\n", from.AddrPort().Addr(), buf[:n])
	}
}
