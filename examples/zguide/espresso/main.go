// Espresso is the guide's capture of a publish-subscribe proxy: what goes through a Device is copied to a listener.
//
//	go run ./examples/zguide/espresso tcp://127.0.0.1:6000 tcp://127.0.0.1:6001
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/switchboard-go/switchboard/zmtp"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: espresso PUBLISHERS SUBSCRIBERS")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(publishers, subscribers string) error {
	front, err := zmtp.NewSocket(zmtp.XSUB, nil)
	if err != nil {
		return err
	}
	back, err := zmtp.NewSocket(zmtp.XPUB, nil)
	if err != nil {
		return err
	}
	// The listener is a handler: it has no goroutine that waits for messages.
	listener, err := zmtp.NewSocket(zmtp.PAIR, &zmtp.Options{Handler: func(_ *zmtp.Socket, m *zmtp.Message) {
		fmt.Printf("%q\n", m.Parts)
	}})
	if err != nil {
		return err
	}
	capture, err := zmtp.NewSocket(zmtp.PAIR, nil)
	if err != nil {
		return err
	}
	if _, err := listener.Bind("inproc://capture"); err != nil {
		return err
	}
	if err := capture.Connect("inproc://capture"); err != nil {
		return err
	}
	for _, side := range []struct {
		s        *zmtp.Socket
		endpoint string
	}{{front, publishers}, {back, subscribers}} {
		at, err := side.s.Bind(side.endpoint)
		if err != nil {
			return err
		}
		fmt.Println("listening on", at)
	}
	return zmtp.Device{Front: front, Back: back, Capture: capture}.Run(context.Background())
}
