package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A stranger is one kind of client without any rights, that makes a server hold something.
type stranger struct {
	name    string
	service string
	secure  bool
	act     func(conn *net.TCPConn) error
}

var strangers = []stranger{
	{"says nothing", "echo", false, nil},
	{"says nothing, TLS", "echo", true, nil},
	{"has begun a TLS handshake", "echo", true, beginsHandshake},
	{"idle, TLS", "echo", true, func(conn *net.TCPConn) error { _, err := secured(conn); return err }},
	{"an unfinished line of 60,000 bytes", "lines", false, func(conn *net.TCPConn) error { return says(conn, strings.Repeat("x", 60_000)) }},
	{"the same, TLS", "lines", true, func(conn *net.TCPConn) error {
		over, err := secured(conn)
		if err == nil {
			err = says(over, strings.Repeat("x", 60_000))
		}
		return err
	}},
	{"reads nothing of its echo", "echo", false, func(conn *net.TCPConn) error { return pours(conn, conn) }},
	{"the same, TLS", "echo", true, func(conn *net.TCPConn) error {
		over, err := secured(conn)
		if err == nil {
			err = pours(over, conn)
		}
		return err
	}},
}

// held measures what one connection of each kind has a server hold, beside one that only sits there.
func held(flags *flag.FlagSet) func(context.Context) (bool, error) {
	conns := flags.Int("conns", 500, "connections of each kind")
	most := flags.Int("most", 256<<10, "bytes that one may cost for the promise to hold")
	return func(ctx context.Context) (bool, error) {
		fmt.Printf("bytes resident for each of %d connections\n%-38s", *conns, "")
		engines := []string{}
		for _, name := range switchboard.Engines() {
			if name == "uring" || name == "epoll" || name == "kqueue" {
				engines = append(engines, name)
				fmt.Printf("%12s", name)
			}
		}
		fmt.Println()
		holds := true
		for _, kind := range strangers {
			fmt.Printf("%-38s", kind.name)
			for _, engine := range engines {
				if ctx.Err() != nil {
					return false, ctx.Err()
				}
				n, err := kind.costs(engine, *conns)
				if err != nil {
					return false, fmt.Errorf("%s: %w", kind.name, err)
				}
				fmt.Printf("%12d", n)
				holds = holds && n <= *most
			}
			fmt.Println()
		}
		return holds, nil
	}
}

// costs returns the bytes for each of so many connections.
func (k stranger) costs(engine string, conns int) (int, error) {
	secure := "clear"
	if k.secure {
		secure = "tls"
	}
	s, err := start("held", k.service, engine, secure)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	if err := k.come(s, conns/10); err != nil { // what the first ones cost is the server's
		return 0, err
	}
	before, err := s.settled()
	if err != nil {
		return 0, err
	}
	if err := k.come(s, conns); err != nil {
		return 0, err
	}
	after, err := s.settled()
	return max(after-before, 0) / conns, err
}

// come has so many come to a server, some at a time.
func (k stranger) come(s *server, conns int) error {
	var (
		group sync.WaitGroup
		place = make(chan struct{}, 16)
		first = make(chan error, conns)
	)
	for range conns {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			return err
		}
		s.guests = append(s.guests, conn)
		conn.SetDeadline(time.Now().Add(time.Minute))
		place <- struct{}{}
		group.Go(func() {
			defer func() { <-place }()
			if k.act == nil {
				return
			}
			if err := k.act(conn.(*net.TCPConn)); err != nil {
				first <- err
			}
		})
	}
	group.Wait()
	close(first)
	return <-first
}

// settled returns what the server occupies when that has stopped growing.
func (s *server) settled() (now int, err error) {
	for was := -1; ; was = now {
		if now, err = s.status("VmRSS:"); err != nil || now <= was {
			return now, err
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func says(conn io.Writer, text string) error {
	_, err := io.WriteString(conn, text)
	return err
}

func secured(conn *net.TCPConn) (*tls.Conn, error) {
	over := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	return over, over.Handshake()
}

// pours writes until the server takes no more.
func pours(conn io.Writer, raw *net.TCPConn) error {
	raw.SetReadBuffer(4 << 10)
	for {
		raw.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if err := says(conn, strings.Repeat("x", 16<<10)); err != nil {
			return nil
		}
	}
}

// beginsHandshake says hello, and hears the answer without going on.
func beginsHandshake(conn *net.TCPConn) error {
	said := new(hello)
	tls.Client(said, &tls.Config{InsecureSkipVerify: true}).Handshake()
	if _, err := conn.Write(said.Bytes()); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

// A hello is a connection on which a client says hello and hears nothing.
type hello struct {
	net.Conn
	bytes.Buffer
}

func (h *hello) Read([]byte) (int, error)         { return 0, io.EOF }
func (h *hello) Write(p []byte) (int, error)      { return h.Buffer.Write(p) }
func (h *hello) Close() error                     { return nil }
func (h *hello) SetDeadline(time.Time) error      { return nil }
func (h *hello) SetWriteDeadline(time.Time) error { return nil }
