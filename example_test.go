package switchboard_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/socket"
)

// serving runs a server on a free port and returns its address.
func serving(s *switchboard.Server) string {
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	at, err := l.LocalAddr()
	if err != nil {
		log.Fatal(err)
	}
	go s.ServeSocket(l)
	return at.String()
}

func Example() {
	echo := switchboard.DataFunc((*switchboard.Conn).Write)
	server := &switchboard.Server{Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return echo, nil }}
	defer server.Shutdown(context.Background())

	c, err := net.Dial("tcp", serving(server))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "hello")
	line, err := bufio.NewReader(c).ReadString('\n')
	fmt.Print(line, err)
	// Output:
	// hello
	// <nil>
}

func ExampleFrames() {
	lines := frame.Lines(1000)
	shout := switchboard.Frames(lines.Split, func(c *switchboard.Conn, line []byte) error {
		reply, err := lines.Append(nil, bytes.ToUpper(line))
		if err != nil {
			return err
		}
		_, err = c.Write(reply)
		return err
	})
	server := &switchboard.Server{Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return shout, nil }}
	defer server.Shutdown(context.Background())

	c, err := net.Dial("tcp", serving(server))
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
	// ONE
	// TWO
}

func ExampleBlocking() {
	greet := switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
		name, err := r.ReadString('\n') // waits, as code over a net.Conn does
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(conn, "hello, %s\n", strings.TrimSpace(name))
		return err // nil: called again when there is more, and until then there is no goroutine
	})
	server := &switchboard.Server{Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return greet, nil }}
	defer server.Shutdown(context.Background())

	c, err := net.Dial("tcp", serving(server))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "world")
	line, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Print(line)
	// Output: hello, world
}
