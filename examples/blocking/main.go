// Blocking serves HTTP/1.1 with ordinary blocking code, on event loops.
//
// It teaches Blocking: the function reads and writes as if it had the connection to itself, on a goroutine that exists only
// while there is a request to answer. An idle connection has none.
//
//	go run ./examples/blocking -listen 127.0.0.1:8080
//	curl http://127.0.0.1:8080/hello
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/switchboard-go/switchboard"
)

// answer serves one request. After nil the goroutine ends until there is another request; what r has read ahead is kept.
func answer(conn net.Conn, r *bufio.Reader) error {
	request, err := http.ReadRequest(r)
	if err != nil {
		return err // io.EOF is the orderly end
	}
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return err
	}
	body := fmt.Sprintf("%s %s\n", request.Method, request.URL.Path)
	response := http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: request, Close: request.Close,
		Header:        http.Header{"Content-Type": {"text/plain"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
	if err := response.Write(conn); err != nil || !request.Close {
		return err
	}
	return io.EOF
}

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	server := &switchboard.Server{Handler: switchboard.Blocking(answer)}
	server.Listening = func(at net.Addr) { fmt.Println("listening on", at) }
	log.Fatal(server.ListenAndServe(*address))
}
