// Httplike is an exchange of one request and one reply, each ended by a half-close, and both of its ends.
//
// It teaches shutdown: the client sends its request and shuts down its writing side, which says "that was all, I am
// still listening". The server reads to the end, replies, and shuts down in turn. Real HTTP clients keep their side
// open and end the request with an empty line: the server takes either, so curl can talk to it.
//
//	go run ./examples/httplike -listen 127.0.0.1:8080
//	go run ./examples/httplike -to 127.0.0.1:8080 /hello
//	curl http://127.0.0.1:8080/hello
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/socket"
)

const (
	patience = 5 * time.Second // for each call on a connection
	maxLine  = 8 << 10         // bytes
	maxLines = 100
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("httplike: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: httplike [-listen address] | -to address path") }
	address := flag.String("listen", "127.0.0.1:8080", "")
	to := flag.String("to", "", "")
	flag.Parse()

	var err error
	switch {
	case *to != "" && flag.NArg() == 1:
		err = get(*to, flag.Arg(0))
	case *to == "" && flag.NArg() == 0:
		err = serve(*address)
	default:
		err = fmt.Errorf("%d arguments: give a path with -to, and none with -listen", flag.NArg())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func get(address, path string) error {
	conn, err := socket.CreateConnection(context.Background(), address, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetTimeout(patience)
	if _, err := conn.SendAll([]byte("GET " + path + " HTTP/1.0\r\n\r\n")); err != nil {
		return err
	}
	if err := conn.Shutdown(socket.SHUT_WR); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, conn) // to the end of the stream: the server's shutdown
	return err
}

func serve(address string) error {
	server, err := socket.CreateServer(address, nil)
	if err != nil {
		return err
	}
	if own, err := server.LocalAddr(); err == nil {
		fmt.Println("listening on", own)
	}
	for {
		conn, peer, err := server.Accept()
		if err != nil {
			return err
		}
		conn.SetTimeout(patience)
		if err := reply(conn); err != nil {
			log.Printf("client %v: %v", peer, err)
		}
		conn.Close()
	}
}

func reply(conn *socket.Socket) error {
	var request []string
	lines := frame.NewScanner(conn, frame.LinesCRLF(maxLine).Unterminated())
	for lines.Scan() && lines.Text() != "" {
		if request = append(request, lines.Text()); len(request) > maxLines {
			return fmt.Errorf("a request of more than %d lines", maxLines)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	status := "200 OK"
	if len(request) == 0 || len(strings.Fields(request[0])) < 2 {
		status = "400 Bad Request"
	}
	answer := "HTTP/1.0 " + status + "\r\nContent-Type: text/plain\r\n\r\n" +
		"You asked:\n" + strings.Join(request, "\n") + "\n"
	if _, err := conn.SendAll([]byte(answer)); err != nil {
		return err
	}
	if err := conn.Shutdown(socket.SHUT_WR); err != nil {
		return err
	}
	// A close while bytes of the client are unread resets the connection, and the reply may be lost: read to its end.
	_, err := io.CopyN(io.Discard, conn, 1<<20)
	if err == io.EOF {
		return nil
	}
	return err
}
