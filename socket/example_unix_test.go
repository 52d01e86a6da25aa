//go:build unix

package socket_test

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/switchboard-go/switchboard/socket"
)

// An open file crosses from one process to another.
func ExampleSocket_SendFDs() {
	a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	defer b.Close()

	r, w, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	if _, err := a.SendFDs([]byte("a pipe"), int(w.Fd())); err != nil {
		log.Fatal(err)
	}
	w.Close()

	p := make([]byte, 100)
	n, fds, err := b.RecvFDs(p, 1)
	if err != nil {
		log.Fatal(err)
	}
	received := os.NewFile(uintptr(fds[0]), "pipe")
	fmt.Fprintf(received, "written to %s", p[:n])
	received.Close()

	text, _ := io.ReadAll(r)
	fmt.Println(string(text))
	// Output: written to a pipe
}
