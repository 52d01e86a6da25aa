package socket

import "bufio"

// A File is a buffered reader and writer on a socket, like the result of Python's makefile. Written bytes stay in the
// buffer until Flush or Close sends them. Remember to Flush before you wait for a reply.
//
// One goroutine may read while another one writes. Bytes that are buffered for reading are no longer in the socket:
// do not call the socket's own Recv after MakeFile. A timeout does not lose bytes that were read. It loses bytes that
// were to be written, and every later write fails.
type File struct {
	bufio.ReadWriter
}

// MakeFile returns a buffered reader and writer on a stream socket. The socket should be in blocking mode or have a
// timeout.
func (s *Socket) MakeFile() *File {
	return &File{bufio.ReadWriter{Reader: bufio.NewReader(s), Writer: bufio.NewWriter(s)}}
}

// Close sends the buffered bytes. It does not close the socket.
func (f *File) Close() error { return f.Flush() }
