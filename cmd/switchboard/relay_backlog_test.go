package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

// A lateLoop is a loop of the test's, which comes to its functions when run is called.
type lateLoop struct {
	mu    sync.Mutex
	tasks []func()
}

func (l *lateLoop) Do(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tasks = append(l.tasks, f)
	return nil
}

func (l *lateLoop) run() {
	l.mu.Lock()
	tasks := l.tasks
	l.tasks = nil
	l.mu.Unlock()
	for _, f := range tasks {
		f()
	}
}

// A lateLink is a client on it, who takes all.
type lateLink struct {
	loop *lateLoop
	got  strings.Builder
}

func (l *lateLink) Loop() room.Loop { return l.loop }

func (l *lateLink) Send(list []*room.Payload) (bool, error) {
	for _, p := range list {
		l.got.Write(p.Bytes)
	}
	return true, nil
}

func (l *lateLink) Join(list []*room.Payload) *room.Payload {
	all := new(room.Payload)
	for _, p := range list {
		all.Bytes = append(all.Bytes, p.Bytes...)
	}
	return all
}

func (l *lateLink) WhenSent(func()) {}
func (l *lateLink) Expel(string)    {}
func (l *lateLink) Pause()          {}
func (l *lateLink) Resume()         {}

// What a WebSocket says while another loop is too far behind is passed on later, in its order.
func TestRelayKeepsMessagesUntilTheLoopsHaveCaughtUp(t *testing.T) {
	h := newRelay(room.DropOldest, 1000)
	h.hub.Options.Backlog, h.hub.Logger = 1000, slog.New(slog.DiscardHandler)
	late := &lateLink{loop: new(lateLoop)}
	if _, err := h.hub.Member(late, h.form, "").Join("relay", nil); err != nil {
		t.Fatal(err)
	}
	server := &switchboard.Server{Loops: 1, Accept: (&websocket.Upgrader{Handler: messageRelay{h}}).Accept}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- server.Serve(l) }()
	defer func() { server.Close(); <-ended }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer, err)
	}
	var want strings.Builder
	var frames []byte
	for i := range 50 {
		// Small ones, after which the speaker is read on, and one that is too much with them.
		text := fmt.Sprintf("%02d %s\n", i, strings.Repeat("x", []int{96, 896}[i%2]))
		want.WriteString(text)
		if len(text) < 126 {
			frames = append(frames, 0x81, 0x80|byte(len(text)))
		} else {
			frames = append(frames, 0x81, 0x80|126, byte(len(text)>>8), byte(len(text)))
		}
		frames = append(append(frames, 0, 0, 0, 0), text...)
	}
	if _, err := c.Write(frames); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); late.got.Len() < want.Len() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
		late.loop.run()
	}
	if late.got.String() != want.String() {
		t.Errorf("got %d bytes, not the %d that were said, or others", late.got.Len(), want.Len())
	}
}
