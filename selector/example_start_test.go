//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector_test

import (
	"fmt"
	"log"
	"time"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

// One goroutine waits for two sockets, and learns which of them can be read.
func ExampleNew() {
	sel, err := selector.New()
	if err != nil {
		log.Fatal(err)
	}
	defer sel.Close()
	for _, name := range []string{"first", "second"} {
		a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
		if err != nil {
			log.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		if err := sel.Register(a.FD(), selector.Read, name); err != nil {
			log.Fatal(err)
		}
		if name == "second" {
			b.SendAll([]byte("hello"))
		}
	}
	ready, err := sel.Select(time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range ready {
		fmt.Println(r.Key.Data, r.Events)
	}
	// Output: second read
}

// Wake ends a Select from another goroutine.
func ExampleSelector_Wake() {
	sel, err := selector.New()
	if err != nil {
		log.Fatal(err)
	}
	defer sel.Close()
	go sel.Wake()
	ready, err := sel.Select(-1)
	fmt.Println(len(ready), err)
	// Output: 0 <nil>
}
