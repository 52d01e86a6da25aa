package zmtp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/switchboard-go/switchboard/zmtp"
)

// A publisher, and a subscriber to one of its topics.
func ExampleSocket_Subscribe() {
	var c zmtp.Context
	defer c.Close()
	pub, err := c.NewSocket(zmtp.XPUB, nil) // a PUB that also learns who subscribes
	if err != nil {
		log.Fatal(err)
	}
	at, err := pub.Bind("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	sub, err := c.NewSocket(zmtp.SUB, nil)
	if err != nil {
		log.Fatal(err)
	}
	sub.Subscribe("weather.")
	if err := sub.Connect(at); err != nil {
		log.Fatal(err)
	}
	if _, err := pub.Recv(); err != nil { // the subscription: what is published before it is for nobody
		log.Fatal(err)
	}
	pub.Send([]byte("sports.football"), []byte("2:1"))
	pub.Send([]byte("weather.berlin"), []byte("rain"))
	parts, err := sub.Recv()
	fmt.Printf("%s %v\n", parts, err)
	// Output: [weather.berlin rain] <nil>
}

// Tasks for several workers: each task goes to one of them.
func ExampleContext_NewSocket() {
	var c zmtp.Context
	defer c.Close()
	push, err := c.NewSocket(zmtp.PUSH, nil)
	if err != nil {
		log.Fatal(err)
	}
	at, err := push.Bind("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan string)
	for range 2 {
		pull, err := c.NewSocket(zmtp.PULL, nil)
		if err != nil {
			log.Fatal(err)
		}
		pull.Connect(at)
		go func() {
			for {
				task, err := pull.Recv()
				if err != nil {
					return // closed
				}
				done <- string(task[0])
			}
		}()
	}
	for i := range 4 {
		push.Send(fmt.Append(nil, "task ", i))
	}
	for range 4 {
		fmt.Println(<-done)
	}
	// Unordered output:
	// task 0
	// task 1
	// task 2
	// task 3
}

// Requests that are encrypted, from clients that know the server's public key.
func ExampleNewKeyPair() {
	var c zmtp.Context
	defer c.Close()
	public, secret := zmtp.NewKeyPair()
	rep, err := c.NewSocket(zmtp.REP, &zmtp.Options{Security: zmtp.CurveServer{SecretKey: secret}})
	if err != nil {
		log.Fatal(err)
	}
	at, err := rep.Bind("tcp://127.0.0.1:*")
	if err != nil {
		log.Fatal(err)
	}
	req, err := c.NewSocket(zmtp.REQ, &zmtp.Options{Security: zmtp.CurveClient{ServerKey: public}})
	if err != nil {
		log.Fatal(err)
	}
	req.Connect(at)
	req.Send([]byte("a secret"))
	request, err := rep.Recv()
	fmt.Printf("%s %v\n", request, err)
	// Output: [a secret] <nil>
}

// One goroutine receives from two sockets.
func ExamplePoll() {
	var c zmtp.Context
	defer c.Close()
	var items []zmtp.PollItem
	for _, name := range []string{"inproc://first", "inproc://second"} {
		pull, err := c.NewSocket(zmtp.PULL, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := pull.Bind(name); err != nil {
			log.Fatal(err)
		}
		items = append(items, zmtp.PollItem{Socket: pull, Recv: true})
	}
	push, err := c.NewSocket(zmtp.PUSH, nil)
	if err != nil {
		log.Fatal(err)
	}
	push.Connect("inproc://second")
	push.Send([]byte("hello"))

	if _, err := zmtp.Poll(context.Background(), items); err != nil {
		log.Fatal(err)
	}
	var m zmtp.Message
	for i, item := range items {
		if item.CanRecv && item.Socket.TryRecv(&m) == nil {
			fmt.Printf("%d: %s\n", i, m.Parts)
		}
	}
	// Output: 1: [hello]
}

// A queue between clients and workers that do not know each other.
func ExampleDevice() {
	var c zmtp.Context
	defer c.Close()
	front, err := c.NewSocket(zmtp.ROUTER, nil)
	if err != nil {
		log.Fatal(err)
	}
	back, err := c.NewSocket(zmtp.DEALER, nil)
	if err != nil {
		log.Fatal(err)
	}
	front.Bind("inproc://front")
	back.Bind("inproc://back")
	go zmtp.Device{Front: front, Back: back}.Run(context.Background())

	rep, _ := c.NewSocket(zmtp.REP, nil)
	rep.Connect("inproc://back")
	go func() {
		for {
			request, err := rep.Recv()
			if err != nil {
				return // closed
			}
			rep.Send(append(request, []byte("done"))...)
		}
	}()
	req, _ := c.NewSocket(zmtp.REQ, nil)
	req.Connect("inproc://front")
	req.Send([]byte("work"))
	reply, err := req.Recv()
	fmt.Printf("%s %v\n", reply, err)
	// Output: [work done] <nil>
}
