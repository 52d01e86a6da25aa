package main

import (
	"encoding/binary"
	"io"
	"sync"
)

// A request is the first thing on a connection, as a frame of JSON. Then each side sends frames.
type request struct {
	Name string
	Args []string
	Dir  string
}

// Kinds of frames. One byte for the kind and four for the length come before what a frame carries.
const (
	frameRequest = iota
	frameInput   // for standard input; empty at its end
	frameOutput
	frameError
	frameExit // the code, in decimal, or why the program did not start
)

const maxFrame = 64 << 10

// A frameWriter sends what is written to it as frames of one kind. Those of a connection share the mutex.
type frameWriter struct {
	mu   *sync.Mutex
	to   io.Writer
	kind byte
}

func (w frameWriter) Write(p []byte) (n int, err error) {
	for first := true; first || n < len(p); first = false {
		part := p[n:min(len(p), n+maxFrame)]
		if err := w.frame(part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (w frameWriter) frame(p []byte) error {
	b := binary.BigEndian.AppendUint32([]byte{w.kind}, uint32(len(p)))
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.to.Write(append(b, p...))
	return err
}

func readFrame(from io.Reader) (kind byte, p []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, nil, err
	}
	p = make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err = io.ReadFull(from, p)
	return head[0], p, err
}
