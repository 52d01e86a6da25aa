package socket

import "bufio"

// A File is a buffered view of a socket, as Python's makefile gives: it reads lines, and gathers small writes.
// What was written waits in the buffer until Flush or Close sends it: a peer that seems not to answer has often
// not been asked yet.
//
// One goroutine at a time may read, and one write. What is buffered for reading is no longer in the socket: after
// MakeFile do not call the socket's own Recv. A timeout loses nothing that was read, but what was to be written is
// lost, and every later write fails.
type File struct {
	bufio.ReadWriter
}

// MakeFile returns a buffered view of a stream socket. The socket should be in blocking mode or have a timeout.
func (s *Socket) MakeFile() *File {
	return &File{bufio.ReadWriter{Reader: bufio.NewReader(s), Writer: bufio.NewWriter(s)}}
}

// Close sends what waits in the buffer. The socket stays open: close it too.
func (f *File) Close() error { return f.Flush() }
