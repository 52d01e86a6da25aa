package room_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

const patience = time.Minute

// numbered is lines of number and data; what is dropped is told.
var numbered = &room.Form{
	Encode: func(b []byte, m *room.Message) []byte {
		if m.Seq == 0 {
			return nil
		}
		return fmt.Appendf(b, "%d %s\n", m.Seq, m.Data)
	},
	Dropped: func(b []byte, n uint64) []byte { return fmt.Appendf(b, "dropped %d\n", n) },
}

// A host puts everybody who connects into one room, and adds up what became of the messages.
type host struct {
	t       *testing.T
	hub     *room.Hub
	dropped atomic.Uint64
	left    sync.WaitGroup
}

func (h *host) join(c *switchboard.Conn, link room.Link, greet func(string)) error {
	s, err := h.hub.Member(link, numbered, c.RemoteAddr().String()).Join("room", nil)
	if err != nil {
		return err
	}
	h.left.Add(1)
	c.SetValue(s)
	greet(fmt.Sprintf("start %d\n", s.Start().Seq))
	return nil
}

func (h *host) leave(c *switchboard.Conn) {
	s, ok := c.Value().(*room.Subscription)
	if !ok {
		return
	}
	defer h.left.Done()
	// What is published between these two lines, on other goroutines, the member is counted for or not.
	before := s.Room().Position().Seq
	s.Leave()
	after := s.Room().Position().Seq
	n := s.Counts()
	sum := n.Delivered + n.Dropped + n.Skipped + n.Lost
	if low, high := before-s.Start().Seq, after-s.Start().Seq; sum < low || sum > high {
		h.t.Errorf("%+v is %d, of %d to %d", n, sum, low, high)
	}
	h.dropped.Add(n.Dropped)
}

type streamHost struct{ *host }

func (h streamHost) Opened(c *switchboard.Conn) error {
	return h.join(c, room.Stream(c), func(s string) { c.Write([]byte(s)) })
}

func (h streamHost) Data(c *switchboard.Conn, p []byte) (int, error) {
	if i := strings.IndexByte(string(p), '\n'); i >= 0 {
		_, err := c.Value().(*room.Subscription).Publish(room.Message{Data: append([]byte(nil), p[:i]...)})
		if errors.Is(err, room.ErrBacklog) {
			return 0, nil
		}
		return i + 1, err
	}
	return 0, nil
}

func (h streamHost) Closed(c *switchboard.Conn, _ error) { h.leave(c) }

type messageHost struct{ *host }

func (h messageHost) Opened(c *websocket.Conn) error {
	return h.join(c.Conn(), room.WebSocket(c), func(s string) { c.Write(websocket.Text, []byte(s)) })
}

func (h messageHost) Message(c *websocket.Conn, _ websocket.Kind, p []byte) error {
	_, err := c.Conn().Value().(*room.Subscription).Publish(room.Message{Data: append([]byte(nil), p...)})
	if errors.Is(err, room.ErrBacklog) {
		return nil
	}
	return err
}

func (h messageHost) Closed(c *websocket.Conn, _ error) { h.leave(c.Conn()) }

// serve serves until the test ends, and returns the address.
func serve(t *testing.T, server *switchboard.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		server.Shutdown(ctx)
		if err := <-ended; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// listen reads lines until "end", and checks that every number is there or was told to be dropped. It reads nothing before
// go on is closed.
func listen(r io.Reader, slow <-chan struct{}) error {
	lines := bufio.NewReader(r)
	text, err := lines.ReadString('\n')
	var start, last, missed uint64
	if _, bad := fmt.Sscanf(text, "start %d\n", &start); err != nil || bad != nil {
		return fmt.Errorf("%q: %v", text, err)
	}
	last = start
	if slow != nil {
		<-slow
	}
	got := uint64(0)
	for {
		text, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("after %d: %w", last, err)
		}
		var n uint64
		if _, err := fmt.Sscanf(text, "dropped %d\n", &n); err == nil {
			missed += n
			continue
		}
		var data string
		if _, err := fmt.Sscanf(text, "%d %s\n", &n, &data); err != nil || n <= last {
			return fmt.Errorf("%q after %d: %v", text, last, err)
		}
		last = n
		got++
		if data == "end" {
			if got+missed != last-start {
				return fmt.Errorf("from %d to %d: %d came, %d were missed", start, last, got, missed)
			}
			return nil
		}
	}
}

func TestEveryMessageArrivesOrIsCounted(t *testing.T) {
	own, err := certs.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	engines := switchboard.Engines()
	for _, engine := range engines[:min(len(engines), 2)] {
		for _, kind := range []string{"stream", "tls", "websocket", "deflate"} {
			t.Run(engine+"/"+kind, func(t *testing.T) {
				h := &host{t: t, hub: &room.Hub{Options: room.Options{Queue: 10_000}}}
				server := &switchboard.Server{Engine: engine, Loops: 2}
				server.Accept = func(*switchboard.Conn) (switchboard.Handler, error) { return streamHost{h}, nil }
				client := &tls.Config{InsecureSkipVerify: true}
				dial := func(addr string) (io.ReadWriteCloser, error) { return net.Dial("tcp", addr) }
				switch kind {
				case "tls":
					server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{own}}
					dial = func(addr string) (io.ReadWriteCloser, error) { return tls.Dial("tcp", addr, client) }
				case "websocket", "deflate":
					u := &websocket.Upgrader{Handler: messageHost{h}}
					if kind == "deflate" {
						u.Deflate = &websocket.Deflate{Threshold: 10}
					}
					server.Accept = u.Accept
					dialer := &websocket.Dialer{Server: &switchboard.Server{Loops: 1}, Options: websocket.Options{Deflate: u.Deflate}}
					t.Cleanup(func() { dialer.Server.Close() })
					dial = func(addr string) (io.ReadWriteCloser, error) { return dialMessages(dialer, "ws://"+addr) }
				}
				addr := serve(t, server)
				lobby, err := h.hub.Room("room")
				if err != nil {
					t.Fatal(err)
				}
				var readers, writers sync.WaitGroup
				slow := make(chan struct{})
				errs := make(chan error, 100)
				member := func(gate <-chan struct{}, say int) {
					c, err := dial(addr)
					if err != nil {
						errs <- err
						return
					}
					started := make(chan struct{})
					writers.Go(func() {
						<-started
						for range say {
							fmt.Fprintf(c, "%s\n", strings.Repeat("y", 1+rand.IntN(200)))
						}
					})
					readers.Go(func() {
						defer c.Close()
						close(started)
						if err := listen(c, gate); err != nil {
							errs <- err
						}
					})
				}
				keeper, err := dial(addr) // so that there always is a room
				if err != nil {
					t.Fatal(err)
				}
				defer keeper.Close()
				go io.Copy(io.Discard, keeper)
				for range 6 {
					member(nil, 50)
				}
				for range 3 {
					member(slow, 0)
				}
				for range 2 {
					writers.Go(func() {
						for range 1000 {
							if _, err := lobby.Publish(room.Message{Data: []byte(strings.Repeat("x", 1+rand.IntN(2000)))}); err != nil && !errors.Is(err, room.ErrBacklog) {
								errs <- err
							}
						}
					})
				}
				for range 20 { // who come and go
					c, err := dial(addr)
					if err != nil {
						t.Fatal(err)
					}
					io.ReadFull(c, make([]byte, 1+rand.IntN(7)))
					c.Close()
				}
				writers.Wait()
				for {
					_, err := lobby.Publish(room.Message{Data: []byte("end")})
					if err == nil {
						break
					}
					time.Sleep(time.Millisecond)
				}
				close(slow)
				readers.Wait()
				keeper.Close()
				h.left.Wait()
				close(errs)
				for err := range errs {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
					}
				}
				t.Logf("%d published, %d dropped", lobby.Position().Seq, h.dropped.Load())
			})
		}
	}
}

// A messagePipe is a WebSocket as a stream of its messages' bytes, and of lines as messages.
type messagePipe struct {
	*io.PipeReader
	w    *io.PipeWriter
	open chan struct{}
	c    *websocket.Conn
	ends chan struct{}
}

func dialMessages(d *websocket.Dialer, url string) (io.ReadWriteCloser, error) {
	p := &messagePipe{open: make(chan struct{}), ends: make(chan struct{})}
	p.PipeReader, p.w = io.Pipe()
	var once sync.Once
	c, err := d.Dial(context.Background(), url, websocket.Blocking(func(s *websocket.Stream) error {
		once.Do(func() { close(p.open) })
		for {
			_, m, err := s.Read()
			if err != nil {
				p.w.CloseWithError(err)
				return err
			}
			p.w.Write(m)
		}
	}))
	p.c = c
	return p, err
}

func (p *messagePipe) Write(b []byte) (int, error) {
	<-p.open
	return len(b), p.c.Write(websocket.Text, []byte(strings.TrimSuffix(string(b), "\n")))
}

func (p *messagePipe) Close() error {
	p.c.Abort()
	return p.PipeReader.Close()
}
