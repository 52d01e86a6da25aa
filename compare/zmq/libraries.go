//go:build linux

package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/go-zeromq/zmq4"

	"github.com/switchboard-go/switchboard/zmtp"
)

// A library is one that is compared. Its functions move count messages. pull tells by bound where it can be reached.
type library struct {
	name string
	path string // of its module
	pace int    // how many times plan.messages it moves, so that its runs are not too short to measure
	push func(address string, body []byte, count int) error
	pull func(address string, size, count int, bound func(address string)) error
}

var libraries = []library{
	{"switchboard", "github.com/switchboard-go/switchboard", 10, pushOurs, pullOurs},
	{"zmq4", "github.com/go-zeromq/zmq4", 1, pushZMQ4, pullZMQ4},
}

// play is one side of one library: its name, "push" or "pull", the address, the size of a message and how many there are.
func play(args []string) error {
	size, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	for _, l := range libraries {
		switch {
		case l.name != args[0]:
		case args[1] == "push":
			return l.push(args[2], make([]byte, size), count)
		case args[1] == "pull":
			return l.pull(args[2], size, count, func(address string) { fmt.Println(address) })
		}
	}
	return fmt.Errorf("there is no %s of %s", args[1], args[0])
}

// version is that of a module as it is built in here.
func version(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path && m.Version != "v0.0.0" {
			return m.Version
		}
	}
	return ""
}

func pushOurs(address string, body []byte, count int) error {
	s, err := zmtp.NewSocket(zmtp.PUSH, nil)
	if err != nil {
		return err
	}
	if err := s.Connect(address); err != nil {
		return err
	}
	for range count {
		if err := s.Send(body); err != nil {
			return err
		}
	}
	return s.Close()
}

func pullOurs(address string, size, count int, bound func(string)) error {
	s, err := zmtp.NewSocket(zmtp.PULL, nil)
	if err != nil {
		return err
	}
	at, err := s.Bind(address)
	if err != nil {
		return err
	}
	bound(at)
	var m zmtp.Message
	for range count {
		if err := s.RecvMessage(context.Background(), &m); err != nil {
			return err
		}
		if len(m.Parts) != 1 || len(m.Parts[0]) != size {
			return fmt.Errorf("a message of %d parts has come, of which the first has %d bytes", len(m.Parts), len(m.Parts[0]))
		}
	}
	return s.Close()
}

func pushZMQ4(address string, body []byte, count int) error {
	s := zmq4.NewPush(context.Background())
	if err := s.Dial(address); err != nil {
		return err
	}
	for range count {
		if err := s.Send(zmq4.NewMsg(body)); err != nil {
			return err
		}
	}
	s.Close() // which fails if the other side has ended first; the PULL has counted
	return nil
}

func pullZMQ4(address string, size, count int, bound func(string)) error {
	s := zmq4.NewPull(context.Background())
	if err := s.Listen(address); err != nil {
		return err
	}
	bound("tcp://" + s.Addr().String())
	for range count {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if len(m.Frames) != 1 || len(m.Frames[0]) != size {
			return fmt.Errorf("a message of %d parts has come", len(m.Frames))
		}
	}
	s.Close() // which fails if the other side has ended first
	return nil
}
