package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A talker is a client of a room: what it says ends up with all others.
type talker struct {
	say   func(text string) error
	heard chan string // closed at the end
	end   func()
}

// lineTalker talks in lines.
func lineTalker(c net.Conn) *talker {
	k := &talker{heard: make(chan string, 1000), end: func() { c.Close() }}
	k.say = func(text string) error {
		_, err := io.WriteString(c, text+"\n")
		return err
	}
	go func() {
		defer close(k.heard)
		for in := bufio.NewScanner(c); in.Scan(); {
			k.heard <- in.Text()
		}
	}()
	return k
}

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
func messageTalker(t *testing.T, dialer *websocket.Dialer, url string) *talker {
	t.Helper()
	k := &talker{heard: make(chan string, 1000)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h := heardMessages{k.heard, make(chan struct{})}
	c, err := dialer.Dial(ctx, url, h)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-h.opened:
	case <-ctx.Done():
		t.Fatal("the WebSocket does not open")
	}
	k.say = func(text string) error { return c.Write(websocket.Text, []byte(text)) }
	k.end = c.Abort
	return k
}

// dialers returns one that compresses and one that does not.
func dialers(t *testing.T) [2]*websocket.Dialer {
	s := &switchboard.Server{Loops: 1}
	t.Cleanup(func() { s.Close() })
	return [2]*websocket.Dialer{{Server: s, Options: websocket.Options{Deflate: &websocket.Deflate{Threshold: -1}}}, {Server: s}}
}

// talkWhile has everybody say one thing after the other, each when all others have heard the one before, while do runs. Everything is
// checked: that it comes once, to everybody, and in order. read returns what was said, out of what a client hears; ok is false for
// anything else.
func talkWhile(t *testing.T, all []*talker, read func(heard string) (text string, ok bool), do func()) (said int) {
	t.Helper()
	stop, over := make(chan struct{}), make(chan struct{})
	confirmed := make([]chan int, len(all)) // who has heard it
	for i := range all {
		confirmed[i] = make(chan int, len(all))
	}
	var listening, talking sync.WaitGroup
	for i, k := range all {
		listening.Go(func() {
			next := make([]int, len(all))
			for {
				select {
				case <-over:
					return
				case heard, ok := <-k.heard:
					if !ok {
						t.Errorf("the connection of %d is over", i)
						return
					}
					text, ok := read(heard)
					if !ok {
						continue
					}
					var from, n int
					if _, err := fmt.Sscanf(text, "%d says %d", &from, &n); err != nil || from < 0 || from >= len(all) || from == i || n != next[from] {
						t.Errorf("%d heard %q", i, heard)
						return
					}
					next[from]++
					confirmed[from] <- i
				}
			}
		})
	}
	counts := make([]int, len(all))
	for i, k := range all {
		talking.Go(func() {
			for !t.Failed() {
				select {
				case <-stop:
					return
				default:
				}
				if err := k.say(fmt.Sprintf("%d says %d", i, counts[i])); err != nil {
					t.Errorf("%d: %v", i, err)
					return
				}
				for range len(all) - 1 {
					select {
					case <-confirmed[i]:
					case <-t.Context().Done():
						return
					case <-time.After(patience):
						t.Errorf("not everybody has heard what %d says", i)
						return
					}
				}
				counts[i]++
			}
		})
	}
	do()
	close(stop)
	talking.Wait()
	close(over)
	listening.Wait()
	for _, n := range counts {
		said += n
	}
	return said
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
				var all []*talker
				by := dialers(t)
				for i := range 8 {
					if over == "messages" {
						all = append(all, messageTalker(t, by[i%2], s.addrs[0]))
					} else {
						all = append(all, lineTalker(client(t, s.server)))
					}
					defer all[i].end()
				}
				s.await("connected", len(all))
				until(t, "all are in the room", func() bool { return inRoom(all) })
				said := talkWhile(t, all, func(heard string) (string, bool) { return heard, heard != "?" }, func() {
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

// inRoom asks whether all hear what is said.
func inRoom(all []*talker) bool {
	if all[0].say("?") != nil {
		return false
	}
	for _, k := range all[1:] {
		select {
		case <-k.heard:
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}
	return true
}
