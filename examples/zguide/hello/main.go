// Hello is the guide's first pair of programs: a REP that answers "World" to whatever says "Hello", and a REQ that says it.
//
//	go run ./examples/zguide/hello server tcp://127.0.0.1:5555
//	go run ./examples/zguide/hello client tcp://127.0.0.1:5555
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/switchboard-go/switchboard/zmtp"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: hello server|client ENDPOINT")
	}
	var err error
	if os.Args[1] == "server" {
		err = serve(os.Args[2])
	} else {
		err = ask(os.Args[2])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(endpoint string) error {
	rep, err := zmtp.NewSocket(zmtp.REP, nil)
	if err != nil {
		return err
	}
	defer rep.Close()
	at, err := rep.Bind(endpoint)
	if err != nil {
		return err
	}
	fmt.Println("listening on", at)
	for {
		request, err := rep.Recv()
		if err != nil {
			return err
		}
		fmt.Printf("received %s\n", request[0])
		if err := rep.Send([]byte("World")); err != nil {
			return err
		}
	}
}

func ask(endpoint string) error {
	req, err := zmtp.NewSocket(zmtp.REQ, nil)
	if err != nil {
		return err
	}
	defer req.Close()
	if err := req.Connect(endpoint); err != nil {
		return err
	}
	for i := range 10 {
		if err := req.Send([]byte("Hello")); err != nil {
			return err
		}
		reply, err := req.Recv()
		if err != nil {
			return err
		}
		fmt.Printf("received %s %d\n", reply[0], i)
	}
	return nil
}
