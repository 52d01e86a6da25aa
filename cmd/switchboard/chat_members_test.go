//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/websocket"
)

// A netcat is somebody at a terminal.
type netcat struct {
	t   *testing.T
	in  io.WriteCloser
	cmd *exec.Cmd

	mu   sync.Mutex
	said strings.Builder
}

func startNetcat(t *testing.T, addr string) *netcat {
	t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	n := &netcat{t: t, cmd: exec.Command(installed(t, "nc"), host, port)}
	var err error
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n.mu.Lock()
			n.said.WriteString(lines.Text() + "\n")
			n.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		n.in.Close()
		n.cmd.Process.Kill()
		<-ended
		n.cmd.Wait()
	})
	return n
}

func (n *netcat) heard() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.said.String()
}

func (n *netcat) says(text string) {
	n.t.Helper()
	if _, err := io.WriteString(n.in, text+"\n"); err != nil {
		n.t.Fatal(err)
	}
}

func (n *netcat) awaits(what string) {
	n.t.Helper()
	for limit := time.Now().Add(patience); !strings.Contains(n.heard(), what); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			n.t.Fatalf("nc has not heard %q but\n%s", what, n.heard())
		}
	}
}

// A pageless is a client that does what the page does: it comes back, with jitter, and says where it was.
type pageless struct {
	t     *testing.T
	d     *websocket.Dialer
	url   string
	name  string
	done  <-chan struct{}
	ended chan struct{}

	mu     sync.Mutex
	epoch  string
	seq    uint64
	comes  int
	told   int            // answers to ask
	seen   map[string]int // by text
	wrong  []string
	opened *websocket.Conn
}

func (p *pageless) run() {
	defer close(p.ended)
	for {
		closed := make(chan struct{})
		p.mu.Lock()
		url := p.url
		p.mu.Unlock()
		c, err := p.d.Dial(context.Background(), url, &pagelessConn{p, closed})
		if err == nil {
			select {
			case <-closed:
			case <-p.done:
				c.Abort()
				<-closed
				return
			}
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(500 * time.Millisecond)))):
		case <-p.done:
			return
		}
	}
}

type pagelessConn struct {
	*pageless
	closed chan struct{}
}

func (p *pagelessConn) Opened(c *websocket.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = c
	hello, _ := json.Marshal(map[string]any{"type": "hello", "name": p.name, "token": p.name,
		"rooms": []any{map[string]any{"room": "lobby", "epoch": p.epoch, "seq": p.seq}}})
	return c.Write(websocket.Text, hello)
}

func (p *pagelessConn) Message(_ *websocket.Conn, _ websocket.Kind, text []byte) error {
	var e struct {
		Type, Epoch, Text string
		Seq               uint64
		Gap               bool
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case e.Type == "joined":
		if p.comes++; p.epoch != "" && (e.Epoch != p.epoch || e.Gap || e.Seq != p.seq) {
			p.wrong = append(p.wrong, fmt.Sprintf("was at %s %d: %s", p.epoch, p.seq, text))
		}
		p.epoch, p.seq = e.Epoch, e.Seq
	case e.Type == "message":
		if e.Seq != p.seq+1 {
			p.wrong = append(p.wrong, fmt.Sprintf("%d follows %d", e.Seq, p.seq))
		}
		p.seq = e.Seq
		p.seen[e.Text]++
	case e.Type == "rooms":
		p.told++
	case e.Type != "welcome" && e.Type != "presence":
		p.wrong = append(p.wrong, string(text))
	}
	return nil
}

func (p *pagelessConn) Closed(*websocket.Conn, error) {
	p.mu.Lock()
	p.opened = nil
	p.mu.Unlock()
	close(p.closed)
}

// say says something if there is a connection.
func (p *pageless) say(text string) {
	p.request(map[string]any{"type": "say", "room": "lobby", "text": text, "id": text})
}

// ask asks for something whose answer comes after all that was said before was taken.
func (p *pageless) ask() { p.request(map[string]any{"type": "rooms"}) }

func (p *pageless) request(what map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened != nil {
		text, _ := json.Marshal(what)
		p.opened.Write(websocket.Text, text)
	}
}
