// Majordomo is the guide's service-oriented queue in small (RFC 7): workers tell a broker which service they offer, and
// clients ask for a service by its name. Heartbeats are left to ZMTP: Options.HeartbeatInterval.
//
//	go run ./examples/zguide/majordomo broker tcp://127.0.0.1:5555
//	go run ./examples/zguide/majordomo worker tcp://127.0.0.1:5555 echo
//	go run ./examples/zguide/majordomo client tcp://127.0.0.1:5555 echo hello
package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

// The commands of a worker's side of the protocol.
const (
	client = "MDPC01"
	worker = "MDPW01"

	ready      = "\x01"
	request    = "\x02"
	reply      = "\x03"
	heartbeat  = "\x04"
	disconnect = "\x05"
)

func main() {
	log.SetFlags(0)
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "broker":
		err = broke(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "worker":
		err = work(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "client":
		err = ask(os.Args[2], os.Args[3], os.Args[4])
	default:
		log.Fatal("usage: majordomo broker ENDPOINT, worker ENDPOINT SERVICE, or client ENDPOINT SERVICE TEXT")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// A service is what workers offer and clients ask for.
type service struct {
	idle     []string   // identities of workers
	requests [][][]byte // the client's identity and the body
}

func broke(endpoint string) error {
	router, err := zmtp.NewSocket(zmtp.ROUTER, &zmtp.Options{HeartbeatInterval: time.Second, HeartbeatTTL: 3 * time.Second})
	if err != nil {
		return err
	}
	defer router.Close()
	at, err := router.Bind(endpoint)
	if err != nil {
		return err
	}
	fmt.Println("listening on", at)
	services := map[string]*service{}
	offers := map[string]*service{} // by the worker's identity
	named := func(name []byte) *service {
		if services[string(name)] == nil {
			services[string(name)] = &service{}
		}
		return services[string(name)]
	}
	for {
		m, err := router.Recv()
		if err != nil {
			return err
		}
		if len(m) < 4 || len(m[1]) > 0 {
			continue
		}
		from, kind, m := m[0], string(m[2]), m[3:]
		var s *service
		switch {
		case kind == client && len(m) >= 2:
			s = named(m[0])
			s.requests = append(s.requests, append([][]byte{from}, m[1:]...))
		case kind == worker && string(m[0]) == ready && len(m) == 2:
			s = named(m[1])
			offers[string(from)] = s
			s.idle = append(s.idle, string(from))
		case kind == worker && string(m[0]) == reply && len(m) >= 4 && offers[string(from)] != nil:
			s = offers[string(from)]
			s.idle = append(s.idle, string(from))
			name := serviceName(services, s)
			if err := router.Send(append([][]byte{m[1], nil, []byte(client), []byte(name)}, m[3:]...)...); err != nil {
				return err
			}
		case kind == worker && string(m[0]) == disconnect:
			delete(offers, string(from))
		}
		for s != nil && len(s.idle) > 0 && len(s.requests) > 0 {
			to, r := s.idle[0], s.requests[0]
			s.idle = s.idle[1:]
			if offers[to] != s {
				continue // it has gone meanwhile
			}
			s.requests = s.requests[1:]
			parts := append([][]byte{[]byte(to), nil, []byte(worker), []byte(request), r[0], nil}, r[1:]...)
			if err := router.Send(parts...); err != nil {
				return err
			}
		}
	}
}

func serviceName(services map[string]*service, wanted *service) string {
	for name, s := range services {
		if s == wanted {
			return name
		}
	}
	return ""
}

func work(endpoint, name string) error {
	dealer, err := zmtp.NewSocket(zmtp.DEALER, nil)
	if err != nil {
		return err
	}
	defer dealer.Close()
	if err := dealer.Connect(endpoint); err != nil {
		return err
	}
	if err := dealer.Send(nil, []byte(worker), []byte(ready), []byte(name)); err != nil {
		return err
	}
	for {
		m, err := dealer.Recv()
		if err != nil {
			return err
		}
		if len(m) >= 6 && string(m[2]) == request {
			m[2] = []byte(reply)
			if err := dealer.Send(m...); err != nil { // the same body: this service echoes
				return err
			}
		} else if len(m) >= 3 && string(m[2]) != heartbeat {
			return fmt.Errorf("the broker sent %q", m)
		}
	}
}

func ask(endpoint, name, text string) error {
	req, err := zmtp.NewSocket(zmtp.REQ, nil)
	if err != nil {
		return err
	}
	defer req.Close()
	if err := req.Connect(endpoint); err != nil {
		return err
	}
	if err := req.Send([]byte(client), []byte(name), []byte(text)); err != nil {
		return err
	}
	m, err := req.Recv()
	if err != nil {
		return err
	}
	if len(m) != 3 || string(m[0]) != client || string(m[1]) != name {
		return fmt.Errorf("the broker replied %q", m)
	}
	fmt.Printf("%s\n", m[2])
	return nil
}
