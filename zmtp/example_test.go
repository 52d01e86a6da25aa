package zmtp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/switchboard-go/switchboard/zmtp"
)

func Example() {
	var c zmtp.Context // zmtp.NewSocket has one for those who need none of their own
	defer c.Close()
	rep, err := c.NewSocket(zmtp.REP, nil)
	if err != nil {
		log.Fatal(err)
	}
	at, err := rep.Bind("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			request, err := rep.Recv()
			if err != nil {
				return // closed
			}
			rep.Send(append(request, []byte("and hello to you"))...)
		}
	}()

	req, err := c.NewSocket(zmtp.REQ, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := req.Connect(at); err != nil {
		log.Fatal(err)
	}
	if err := req.Send([]byte("hello")); err != nil {
		log.Fatal(err)
	}
	reply, err := req.Recv()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply)
	// Output: [hello and hello to you]
}

// A handler needs no goroutine: it is given each message on the event loop.
func ExampleMessage_Reply() {
	var c zmtp.Context
	defer c.Close()
	server, err := c.NewSocket(zmtp.ROUTER, &zmtp.Options{Handler: func(_ *zmtp.Socket, m *zmtp.Message) {
		m.Reply([]byte("you said "), m.Parts[1])
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := server.Bind("inproc://server"); err != nil {
		log.Fatal(err)
	}
	client, err := c.NewSocket(zmtp.DEALER, nil)
	if err != nil {
		log.Fatal(err)
	}
	client.Connect("inproc://server")
	client.Send([]byte("hello"))
	var m zmtp.Message
	if err := client.RecvMessage(context.Background(), &m); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", m.Parts)
	// Output: [you said  hello]
}
