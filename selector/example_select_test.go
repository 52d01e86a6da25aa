//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector_test

import (
	"fmt"
	"log"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

// The plain call, as C has it: which of these is ready?
func ExampleSelect() {
	a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	a.SendAll([]byte("hello"))

	read, write, _, err := selector.Select([]int{a.FD(), b.FD()}, []int{a.FD()}, nil, -1)
	fmt.Println(len(read) == 1 && read[0] == b.FD(), len(write) == 1, err)

	b.Close()
	_, _, _, err = selector.Select([]int{a.FD(), 1 << 20}, nil, nil, -1)
	fmt.Println(err)

	// Output:
	// true true <nil>
	// select: descriptor 1048576 in the read list is not open
}
