package switchboard_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/frame"
)

func Example() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write), // echo
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0") // the system chooses a port
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
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

func ExampleMessages() {
	lines := frame.Lines(1000)
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler: switchboard.Messages(lines, func(c *switchboard.Conn, line []byte) error {
			return c.WriteMessage(lines, bytes.ToUpper(line))
		}),
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
	// ONE
	// TWO
}

// Any bufio.SplitFunc finds messages.
func ExampleFrames() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler: switchboard.Frames(bufio.ScanWords, func(c *switchboard.Conn, word []byte) error {
			_, err := fmt.Fprintf(c, "%d ", len(word))
			return err
		}),
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(c, "how long are these words")
	c.(*net.TCPConn).CloseWrite()
	lengths, err := io.ReadAll(c)
	fmt.Println(string(lengths), err)
	// Output: 3 4 3 5 5  <nil>
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
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{Handler: greet, Listening: func(addr net.Addr) { listening <- addr }}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "world")
	line, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Print(line)
	// Output: hello, world
}

func ExampleServer_Dial() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	lines, answer := frame.Lines(1000), make(chan string)
	h := switchboard.Messages(lines, func(c *switchboard.Conn, line []byte) error {
		answer <- string(line)
		return io.EOF // the end of the connection, in order
	})
	var client switchboard.Server // whose loops serve what it dials; it may accept connections as well
	defer client.Close()
	c, err := client.Dial(context.Background(), (<-listening).String(), h)
	if err != nil {
		log.Fatal(err)
	}
	c.WriteMessage(lines, []byte("sent as soon as the connection is there"))
	fmt.Println(<-answer)
	// Output: sent as soon as the connection is there
}

// One server speaks TLS on one listener and none on the other.
func ExampleServer_ListenAndServeTLS() {
	certificate, err := certs.SelfSigned("localhost") // for testing; certs.Load reads files
	if err != nil {
		log.Fatal(err)
	}
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { listening <- addr },
	}
	defer server.Close()
	go server.ListenAndServe("127.0.0.1:0")
	plain := <-listening
	go server.ListenAndServeTLS("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	secure := <-listening

	c, err := net.Dial("tcp", plain.String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	over, err := tls.Dial("tcp", secure.String(), &tls.Config{InsecureSkipVerify: true}) // nobody signed the certificate
	if err != nil {
		log.Fatal(err)
	}
	defer over.Close()
	for _, conn := range []net.Conn{c, over} {
		fmt.Fprintln(conn, "hello")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		fmt.Print(line)
	}
	// Output:
	// hello
	// hello
}

// Shutdown answers what was received, then closes the connections.
func ExampleServer_Shutdown() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { listening <- addr },
	}
	served := make(chan error)
	go func() { served <- server.ListenAndServe("127.0.0.1:0") }()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "the last words")

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stopped := make(chan error)
	go func() { stopped <- server.Shutdown(ctx) }()
	heard, err := io.ReadAll(c)
	fmt.Printf("%q, %v\n", heard, err)
	c.Close()
	fmt.Println(<-stopped)
	fmt.Println(<-served)
	// Output:
	// "the last words\n", <nil>
	// <nil>
	// switchboard: the server is closed
}

// A word to every connection, from any goroutine.
func ExampleServer_Conns() {
	listening, opened := make(chan net.Addr, 1), make(chan bool, 3)
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { listening <- addr },
		Trace:     &switchboard.Trace{Opened: func(*switchboard.Conn) { opened <- true }},
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	address := (<-listening).String()
	var clients []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
		<-opened
	}
	for c := range server.Conns() {
		fmt.Fprintln(c, "the building closes at eight")
	}
	for _, c := range clients {
		line, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Print(line)
	}
	// Output:
	// the building closes at eight
	// the building closes at eight
	// the building closes at eight
}

func ExampleServer_Stats() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(c, "12345")
	c.(*net.TCPConn).CloseWrite()
	io.ReadAll(c)
	c.Close()
	server.Shutdown(context.Background()) // when all figures are complete

	stats := server.Stats()
	fmt.Println(stats.Accepted, "accepted,", stats.BytesIn, "bytes in,", stats.BytesOut, "bytes out")
	fmt.Println(stats.Ends.Orderly, "ended in order")
	// Output:
	// 1 accepted, 5 bytes in, 5 bytes out
	// 1 ended in order
}

// A log of all connections.
func ExampleTrace() {
	listening, closed := make(chan net.Addr, 1), make(chan bool)
	server := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { listening <- addr },
		Trace: &switchboard.Trace{
			Opened: func(c *switchboard.Conn) { fmt.Println("opened", c.RemoteAddr().Network()) },
			Closed: func(c *switchboard.Conn, err error) {
				fmt.Println("closed after", c.Received(), "bytes:", err)
				close(closed)
			},
		},
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(c, "hello")
	c.(*net.TCPConn).CloseWrite()
	io.ReadAll(c)
	c.Close()
	<-closed
	// Output:
	// opened tcp
	// closed after 5 bytes: <nil>
}

// Do takes what another goroutine has found out back to the loop, where the connection's own state may be changed.
func ExampleConn_Do() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Handler: switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			release := c.Hold() // the answer is still to come
			go func() {
				defer release()
				time.Sleep(time.Millisecond) // a question to a database
				c.Do(func() {
					c.SetValue(switchboard.Value[int](c) + 1)
					fmt.Fprintln(c, "answer", switchboard.Value[int](c))
				})
			}()
			return len(p), nil
		}),
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(c, "question")
	c.(*net.TCPConn).CloseWrite()
	answers, err := io.ReadAll(c)
	fmt.Print(string(answers), err)
	// Output:
	// answer 1
	// <nil>
}

// A connection that is told the time, and ends after three times.
func ExampleConn_After() {
	listening := make(chan net.Addr, 1)
	server := &switchboard.Server{
		Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
			ticks := 0
			var timer *switchboard.Timer
			timer = c.After(time.Millisecond, func() {
				if ticks++; ticks > 3 {
					c.Close()
					return
				}
				fmt.Fprintln(c, "tick", ticks)
				timer.Reset(time.Millisecond)
			})
			return switchboard.DataFunc((*switchboard.Conn).Write), nil
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
	heard, err := io.ReadAll(c)
	fmt.Print(string(heard), err)
	// Output:
	// tick 1
	// tick 2
	// tick 3
	// <nil>
}

// A proxy: what comes to it goes on to the target, and the answers back.
func ExampleConn_DialPipe() {
	listening := make(chan net.Addr, 1)
	target := &switchboard.Server{
		Handler:   switchboard.DataFunc((*switchboard.Conn).Write),
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go target.ListenAndServe("127.0.0.1:0")
	defer target.Close()
	address := (<-listening).String()

	proxy := &switchboard.Server{
		Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
			return nil, c.DialPipe(context.Background(), address, nil, nil)
		},
		Listening: func(addr net.Addr) { listening <- addr },
	}
	go proxy.ListenAndServe("127.0.0.1:0")
	defer proxy.Close()

	c, err := net.Dial("tcp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(c, "there and back")
	c.(*net.TCPConn).CloseWrite()
	heard, err := io.ReadAll(c)
	fmt.Println(string(heard), err)
	// Output: there and back <nil>
}

// Two clients who are joined with each other.
func ExamplePipe() {
	listening, waiting := make(chan net.Addr, 1), make(chan *switchboard.Conn, 1)
	nothing := switchboard.DataFunc(func(*switchboard.Conn, []byte) (int, error) { return 0, nil })
	server := &switchboard.Server{
		Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
			select {
			case other := <-waiting:
				switchboard.Pipe(c, other) // what one has said already goes first
			default:
				waiting <- c
			}
			return nothing, nil
		},
		Listening: func(addr net.Addr) { listening <- addr },
		Loops:     1, // so that only one Accept runs at a time
	}
	go server.ListenAndServe("127.0.0.1:0")
	defer server.Close()

	address := (<-listening).String()
	var clients [2]net.Conn
	for i := range clients {
		c, err := net.Dial("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		clients[i] = c
	}
	fmt.Fprintln(clients[0], "who is there?")
	line, _ := bufio.NewReader(clients[1]).ReadString('\n')
	fmt.Print(line)
	fmt.Fprintln(clients[1], "me")
	line, _ = bufio.NewReader(clients[0]).ReadString('\n')
	fmt.Print(line)
	// Output:
	// who is there?
	// me
}
