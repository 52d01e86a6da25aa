package switchboard_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// The shortest server: it sends back what it receives.
func ExampleListenAndServe() {
	log.Fatal(switchboard.ListenAndServe("127.0.0.1:7007", switchboard.DataFunc((*switchboard.Conn).Write)))
}

// A DataFunc takes what it can use of the bytes that have come, and is called again with the rest and more.
func ExampleDataFunc() {
	pairs := switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (n int, err error) {
		for ; n+2 <= len(p) && err == nil; n += 2 {
			_, err = fmt.Fprintf(c, "%c%c\n", p[n+1], p[n])
		}
		return n, err
	})
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{Handler: pairs, Listening: func(addr net.Addr) { listening <- addr }}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "abcd")
	r := bufio.NewReader(c)
	for range 2 {
		line, _ := r.ReadString('\n')
		fmt.Print(line)
	}
	// Output:
	// ba
	// dc
}

// A Server can serve listeners of package net, several at once.
func ExampleServer_Serve() {
	server := &switchboard.Server{Handler: switchboard.DataFunc((*switchboard.Conn).Write)}
	ended := make(chan error, 2)
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		go func() { ended <- server.Serve(l) }()

		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintln(c, "hello")
		line, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Print(line)
	}
	server.Close()
	for range 2 {
		fmt.Println(errors.Is(<-ended, switchboard.ErrServerClosed))
	}
	// Output:
	// hello
	// hello
	// true
	// true
}

// What the program knows of a connection.
func ExampleValue() {
	type session struct{ lines int }
	count := switchboard.Messages(frame.Lines(1000), func(c *switchboard.Conn, line []byte) error {
		s := switchboard.Value[*session](c)
		s.lines++
		_, err := fmt.Fprintf(c, "%d %s\n", s.lines, line)
		return err
	})
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
			c.SetValue(new(session))
			return count, nil
		},
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "one\ntwo\n")
	r := bufio.NewReader(c)
	for range 2 {
		line, _ := r.ReadString('\n')
		fmt.Print(line)
	}
	// Output:
	// 1 one
	// 2 two
}

// Answers that come later, and out of order, from other goroutines. The client has ended its output by then: the holds keep the
// connection open.
func ExampleConn_Hold() {
	sleep := switchboard.Messages(frame.Lines(100), func(c *switchboard.Conn, line []byte) error {
		d, err := time.ParseDuration(string(line))
		if err != nil {
			return err
		}
		answer := append(bytes.Clone(line), '\n') // line is only valid until we return
		release := c.Hold()
		time.AfterFunc(d, func() {
			c.Write(answer)
			release()
		})
		return nil
	})
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{Handler: sleep, Listening: func(addr net.Addr) { listening <- addr }}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "20ms\n1ms\n")
	c.(*net.TCPConn).CloseWrite()
	answers, err := io.ReadAll(c)
	fmt.Println(bytes.Count(answers, []byte("\n")), err)
	// Output: 2 <nil>
}
