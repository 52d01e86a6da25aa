package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
)

// run has the server run a program, and returns its exit code.
func run(server, name string, args []string) (code int, err error) {
	if server == "" {
		return 0, errors.New(addressVariable + " is not set")
	}
	conn, err := net.Dial("tcp", server)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	dir, _ := os.Getwd()
	text, err := json.Marshal(request{name, args, dir})
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	if _, err := (frameWriter{&mu, conn, frameRequest}).Write(text); err != nil {
		return 0, err
	}
	go func() {
		input := frameWriter{&mu, conn, frameInput}
		io.Copy(onlyFull{input}, os.Stdin)
		input.Write(nil)
	}()
	for {
		kind, p, err := readFrame(conn)
		if err != nil {
			return 0, err
		}
		switch kind {
		case frameOutput:
			os.Stdout.Write(p)
		case frameError:
			os.Stderr.Write(p)
		case frameExit:
			if code, err = strconv.Atoi(string(p)); err != nil {
				return 0, errors.New(string(p))
			}
			return code, nil
		}
	}
}

// onlyFull passes on what is not empty: an empty frame of input is its end.
type onlyFull struct{ frameWriter }

func (w onlyFull) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return w.frameWriter.Write(p)
}
