package web_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/web"
)

// A handler takes a connection over, answers, and gives it to a handler of package switchboard: an echo of bytes, without a
// goroutine.
func ExampleConn() {
	echo := switchboard.DataFunc((*switchboard.Conn).Write)
	handle := func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			log.Print(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		ahead, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
		conn.(web.Conn).Loop(ahead, func(*switchboard.Conn) (switchboard.Handler, error) { return echo, nil })
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &web.Server{HTTP: &http.Server{Handler: http.HandlerFunc(handle)}}
	go server.Serve(l)
	defer server.HTTP.Close()

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	line, err := r.ReadString('\n')
	fmt.Print(line, err)
	// Output:
	// hello
	// <nil>
}
