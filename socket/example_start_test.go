package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// A server on a port that the system chooses. Accept waits for one client at a time.
func ExampleCreateServer() {
	server, err := socket.CreateServer("127.0.0.1:0", &socket.ServerOptions{Backlog: 16})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	at, err := server.LocalAddr()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if c, err := net.Dial("tcp", at.String()); err == nil {
			c.Close()
		}
	}()

	conn, _, err := server.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	own, _ := conn.LocalAddr()
	fmt.Println(own == at)
	// Output: true
}

// A client that connects within a minute, and reads to the end of the stream.
func ExampleCreateConnection() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.WriteString(c, "hello\n")
			c.Close()
		}
	}()

	conn, err := socket.CreateConnection(context.Background(), l.Addr().String(), &socket.ConnectOptions{Timeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	fmt.Printf("%s%v\n", text, err)
	// Output:
	// hello
	// <nil>
}

// A call that fails says which call it was, for which address, why, and how to mend it.
func ExampleError() {
	server, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	at, _ := server.LocalAddr()

	_, err = socket.CreateServer(at.String(), nil)
	var call *socket.Error
	fmt.Println(errors.As(err, &call))
	fmt.Println(call.Op, call.Addr == at.String())
	fmt.Println(call.Hint())
	// Output:
	// true
	// bind true
	// another socket has this address: stop its program, or choose another
}

// The addresses of a host and a service, as getaddrinfo(3) returns them.
func ExampleGetAddrInfo() {
	found, err := socket.GetAddrInfo(context.Background(), "127.0.0.1", "80", &socket.AddrInfo{Type: socket.SOCK_STREAM})
	if err != nil {
		log.Fatal(err)
	}
	for _, one := range found {
		fmt.Println(one.Addr, one.Family == socket.AF_INET, one.Proto == socket.IPPROTO_TCP)
	}
	// Output: 127.0.0.1:80 true true
}

// Two sockets that are connected to each other.
func ExamplePair() {
	a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	if _, err := a.SendAll([]byte("hello")); err != nil {
		log.Fatal(err)
	}
	p := make([]byte, 100)
	n, err := b.Recv(p)
	fmt.Printf("%s %v\n", p[:n], err)
	// Output: hello <nil>
}

// The options of a connection of package net.
func ExampleFromConn() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	s, err := socket.FromConn(c)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close() // a duplicate: c stays open
	on, err := s.OptionBool(socket.IPPROTO_TCP, socket.TCP_NODELAY)
	fmt.Println(on, err) // package net sets it
	// Output: true <nil>
}
