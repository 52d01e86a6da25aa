// Lazypirate is the guide's client that does not trust its server: it waits some time for each reply and asks again. A REQ
// with ReqRelaxed need not be closed and made anew for that, and drops replies that come too late.
//
//	go run ./examples/zguide/lazypirate tcp://127.0.0.1:5555
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

const (
	patience = 500 * time.Millisecond
	retries  = 20
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: lazypirate ENDPOINT")
	}
	req, err := zmtp.NewSocket(zmtp.REQ, &zmtp.Options{ReqRelaxed: true})
	if err != nil {
		log.Fatal(err)
	}
	defer req.Close()
	if err := req.Connect(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	for i := range 5 {
		if err := ask(req, strconv.Itoa(i)); err != nil {
			log.Fatal(err)
		}
	}
}

func ask(req *zmtp.Socket, request string) error {
	for range retries {
		if err := req.Send([]byte(request)); err != nil {
			return err
		}
		req.SetRecvDeadline(time.Now().Add(patience))
		reply, err := req.Recv()
		switch {
		case err == nil && string(reply[0]) == request:
			fmt.Println("server replied", request)
			return nil
		case err == nil:
			return fmt.Errorf("malformed reply: %q", reply)
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, zmtp.ErrPeerLost):
			fmt.Println("no response from server, retrying")
		default:
			return err
		}
	}
	return errors.New("server seems to be offline, abandoning")
}
