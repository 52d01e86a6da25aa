package switchboard_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
)

// A proxy that finds its target by the name which the client asks for, and takes no part in TLS itself.
type byName map[string]string

func (targets byName) Data(c *switchboard.Conn, p []byte) (int, error) {
	hello, err := switchboard.ClientHello(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, nil // more is needed
	}
	if err != nil {
		return 0, err
	}
	target, ok := targets[hello.ServerName]
	if !ok {
		return 0, fmt.Errorf("nobody is called %q here", hello.ServerName)
	}
	to, err := c.Dial(context.Background(), target, targets)
	if err != nil {
		return 0, err
	}
	switchboard.Pipe(c, to) // what is not consumed goes first
	return 0, nil
}

func (byName) Closed(*switchboard.Conn, error) {}

func ExampleClientHello() {
	certificate, err := certs.SelfSigned("one.example", "other.example")
	if err != nil {
		log.Fatal(err)
	}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		return l
	}
	targets := byName{}
	for _, name := range []string{"one.example", "other.example"} {
		greet := func(c *switchboard.Conn) (switchboard.Handler, error) {
			fmt.Fprintln(c, "this is", name)
			return switchboard.DataFunc((*switchboard.Conn).Write), nil
		}
		l := listen()
		server := &switchboard.Server{Accept: greet}
		go server.ServeTLS(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
		defer server.Close()
		targets[name] = l.Addr().String()
	}
	proxy := &switchboard.Server{Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return targets, nil }}
	l := listen()
	go proxy.Serve(l)
	defer proxy.Close()

	for _, name := range []string{"other.example", "one.example"} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true}) // of an example only
		if err != nil {
			log.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(line)
		c.Close()
	}
	// Output:
	// this is other.example
	// this is one.example
}
