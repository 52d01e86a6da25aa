package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/testtalk"
	"github.com/switchboard-go/switchboard/websocket"
)

// A heardMessages is the handler of a messageTalker.
type heardMessages struct {
	heard  chan string
	opened chan struct{}
}

func (h heardMessages) Opened(*websocket.Conn) error {
	close(h.opened)
	return nil
}

func (h heardMessages) Message(_ *websocket.Conn, _ websocket.Kind, p []byte) error {
	h.heard <- string(p)
	return nil
}

func (h heardMessages) Closed(*websocket.Conn, error) { close(h.heard) }

// messageTalker talks over a WebSocket of dialer, with compression or without.
func messageTalker(t *testing.T, dialer *websocket.Dialer, url string) *testtalk.Talker {
	t.Helper()
	k := &testtalk.Talker{Heard: make(chan string, 1000)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h := heardMessages{k.Heard, make(chan struct{})}
	c, err := dialer.Dial(ctx, url, h)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-h.opened:
	case <-ctx.Done():
		t.Fatal("the WebSocket does not open")
	}
	k.Say = func(text string) error { return c.Write(websocket.Text, []byte(text)) }
	k.End = c.Abort
	return k
}

// dialers returns one that compresses and one that does not.
func dialers(t *testing.T) [2]*websocket.Dialer {
	s := &switchboard.Server{Loops: 1}
	t.Cleanup(func() { s.Close() })
	return [2]*websocket.Dialer{{Server: s, Options: websocket.Options{Deflate: &websocket.Deflate{Threshold: -1}}}, {Server: s}}
}

func TestARestartOfARelayDropsNobody(t *testing.T) {
	for _, engine := range []string{"uring", "epoll"} {
		for _, over := range []string{"lines", "messages"} {
			t.Run(engine+" "+over, func(t *testing.T) {
				t.Parallel()
				args := []string{"relay", "--engine", engine, "--lines"}
				if over == "messages" {
					args = []string{"relay", "--engine", engine, "--listen=ws://127.0.0.1:0"}
				}
				s := serveRestarting(t, args...)
				var all []*testtalk.Talker
				by := dialers(t)
				for i := range 8 {
					if over == "messages" {
						all = append(all, messageTalker(t, by[i%2], s.addrs[0]))
					} else {
						all = append(all, testtalk.Lines(client(t, s.server)))
					}
					defer all[i].End()
				}
				s.await("connected", len(all))
				until(t, "all are in the room", func() bool { return testtalk.InRoom(all) })
				said := testtalk.While(t, all, func(heard string) (string, bool) { return heard, heard != "?" }, func() {
					for range 4 {
						if e := s.restart(); e["stayed"] != 0.0 || e["connections"] != float64(len(all)) {
							t.Errorf("%v", e)
						}
					}
				})
				t.Log(said, "messages")
			})
		}
	}
}

// A told is told how its WebSocket ends.
type told chan error

func (told) Message(*websocket.Conn, websocket.Kind, []byte) error { return nil }
func (h told) Closed(_ *websocket.Conn, err error)                 { h <- err }

// Members who stayed in the old process speak through the new one. When that is gone nobody hears them, and they are told so.
func TestAMemberThatStayedIsToldWhenNobodyHasTheRooms(t *testing.T) {
	s := serveRestarting(t, "relay", "--listen=ws://127.0.0.1:0", "--ws-takeover", "--grace=1m")
	d := dialers(t)[0]
	d.Deflate.ContextTakeover = true
	const members = 8 // of which one after the other is told to go anyhow
	ends := make(told, members)
	var all []*websocket.Conn
	for range members {
		c, err := d.Dial(t.Context(), s.addrs[0], ends)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	s.await("connected", members)
	if e := s.restart(); e["stayed"] != float64(members) {
		t.Fatalf("%v", e)
	}
	syscall.Kill(s.pid, syscall.SIGKILL)
	until(t, "one is told that nobody hears it", func() bool {
		for _, c := range all {
			c.Write(websocket.Text, []byte("does anybody hear me?")) // the old process may not know yet
		}
		for len(ends) > 0 {
			e := new(websocket.CloseError)
			if err := <-ends; !errors.As(err, &e) || e.Code != websocket.CodeRestart {
				t.Fatalf("it ends with %v", err)
			}
			if strings.Contains(e.Reason, "the rooms") {
				return true
			}
		}
		return false
	})
}

// dialTCP connects to an address.
func dialTCP(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	t.Cleanup(func() { c.Close() })
	return c
}
