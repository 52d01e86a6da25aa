// Redis serves strings and counters to Redis clients.
//
// It teaches Frames (messages found by a bufio.SplitFunc) with pipelining: the replies of one turn leave in one system call.
//
//	go run ./examples/redis -listen 127.0.0.1:6380
//	redis-cli -p 6380 set greeting hello
//	redis-benchmark -p 6380 -t ping,set,get,incr -P 16 -q
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/switchboard-go/switchboard"
)

var errProtocol = errors.New("not the Redis protocol")

// words reads the first command of p (redis.io/docs/reference/protocol-spec): its words and its length. Without a whole
// command the length is 0.
func words(p []byte) (words [][]byte, n int, err error) {
	line, _, found := bytes.Cut(p, []byte("\r\n"))
	if !found {
		return nil, 0, nil
	}
	n = len(line) + 2
	if len(line) == 0 || line[0] != '*' { // an inline command, as people type it
		return bytes.Fields(line), n, nil
	}
	count, err := strconv.Atoi(string(line[1:]))
	if err != nil || count < 0 || count > 1000 {
		return nil, 0, errProtocol
	}
	for range count {
		line, rest, found := bytes.Cut(p[n:], []byte("\r\n"))
		if !found {
			return nil, 0, nil
		}
		size, err := strconv.Atoi(string(bytes.TrimPrefix(line, []byte("$"))))
		if err != nil || size < 0 || size > 512<<20 {
			return nil, 0, errProtocol
		}
		if len(rest) < size+2 {
			return nil, 0, nil
		}
		words = append(words, rest[:size])
		n += len(line) + 2 + size + 2
	}
	return words, n, nil
}

// split is a bufio.SplitFunc whose messages are whole commands.
func split(p []byte, atEOF bool) (int, []byte, error) {
	_, n, err := words(p)
	if err == nil && n == 0 && atEOF && len(p) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if n == 0 {
		return 0, nil, err
	}
	return n, p[:n], err
}

var store = struct { // which all loops share
	sync.Mutex
	values map[string]string
}{values: map[string]string{}}

func bulk(s string, ok bool) string {
	if !ok {
		return "$-1\r\n"
	}
	return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s)
}

func answer(name string, args []string) string {
	store.Lock()
	defer store.Unlock()
	switch known := len(args); {
	case name == "PING" && known == 0:
		return "+PONG\r\n"
	case (name == "PING" || name == "ECHO") && known == 1:
		return bulk(args[0], true)
	case name == "SET" && known == 2:
		store.values[args[0]] = args[1]
		return "+OK\r\n"
	case name == "GET" && known == 1:
		v, ok := store.values[args[0]]
		return bulk(v, ok)
	case name == "DEL" && known == 1:
		before := len(store.values)
		delete(store.values, args[0])
		return fmt.Sprintf(":%d\r\n", before-len(store.values))
	case name == "INCR" && known == 1:
		n, err := strconv.ParseInt(cmp.Or(store.values[args[0]], "0"), 10, 64)
		if err != nil {
			return "-ERR value is not an integer or out of range\r\n"
		}
		store.values[args[0]] = strconv.FormatInt(n+1, 10)
		return fmt.Sprintf(":%d\r\n", n+1)
	}
	return fmt.Sprintf("-ERR unknown command %q with %d arguments\r\n", name, len(args))
}

func main() {
	address := flag.String("listen", "127.0.0.1:6380", "address to listen on")
	flag.Parse()
	server := &switchboard.Server{Listening: func(at net.Addr) { fmt.Println("listening on", at) },
		Handler: switchboard.Frames(split, func(c *switchboard.Conn, command []byte) error {
			w, _, _ := words(command)
			if len(w) == 0 {
				return nil
			}
			args := make([]string, len(w))
			for i, word := range w {
				args[i] = string(word)
			}
			_, err := io.WriteString(c, answer(strings.ToUpper(args[0]), args[1:]))
			return err
		})}
	log.Fatal(server.ListenAndServe(*address))
}
