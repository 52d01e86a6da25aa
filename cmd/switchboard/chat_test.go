//go:build unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// serveChat starts a chat, and returns where people talk in lines, too.
func serveChat(t *testing.T, args ...string) (s *server, lines string) {
	t.Helper()
	s = serve(t, append([]string{"chat", "--lines=127.0.0.1:0"}, args...)...)
	return s, strings.TrimPrefix(s.await("accepting lines on ", 1)["msg"].(string), "accepting lines on ")
}

// Two windows of a browser and nc talk in one room, and the server is killed and started again under them.
func TestChat(t *testing.T) {
	history := filepath.Join(t.TempDir(), "history")
	s, lines := serveChat(t, "--history-file="+history)
	url := "http://" + s.addrs[0] + "/"
	b := openBrowser(t)
	ann, bob := b.open(url), b.open(url)
	for name, p := range map[string]*tab{"ann": ann, "bob": bob} {
		p.call("Page.bringToFront", nil)
		until(t, "the page is loaded", func() bool {
			return p.eval(`document.readyState === "complete" && document.activeElement && document.activeElement.id === "name"`) == true
		})
		p.types(name, "Enter") // with the keyboard alone
		p.awaits("status", "Connected")
		until(t, "the message has the focus", func() bool { return p.eval(`document.activeElement.id`) == "text" })
	}
	carl := startNetcat(t, lines)
	carl.says("/nick ann")
	carl.awaits("this name is taken")
	carl.says("/nick 4nn")
	carl.says("/nick carl")
	carl.awaits("You are carl.")
	for _, p := range []*tab{ann, bob} {
		p.awaits("names", "carl")
		p.awaits("names", "bob")
		p.awaits("count", "3 people are here")
	}

	ann.call("Page.bringToFront", nil)
	ann.types("hello everybody <img src=x onerror=\"document.title='broken'\">", "Enter")
	bob.awaits("log", "hello everybody <img src=x")
	carl.awaits("] ann: hello everybody <img")
	carl.says("hello from \x1b[31mnc")
	ann.awaits("log", "hello from [31mnc")
	bob.awaits("log", "hello from [31mnc")
	bob.call("Page.bringToFront", nil)
	bob.types("/help", "Enter")
	bob.awaits("log", "/nick NAME")
	for name, test := range map[string]struct {
		width int
		dark  bool
	}{"light": {1000, false}, "dark": {1000, true}, "narrow-light": {400, false}, "narrow-dark": {400, true}} {
		bob.picture("chat-"+name, test.width, test.dark)
	}
	bob.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": 400, "height": 700, "deviceScaleFactor": 1, "mobile": true})
	if wide := bob.eval(`document.documentElement.scrollWidth`); wide != 400.0 {
		t.Errorf("at 400 pixels the page is %v wide", wide)
	}
	bob.call("Emulation.clearDeviceMetricsOverride", nil)

	s.cmd.Process.Signal(syscall.SIGKILL)
	s.wait()
	for _, p := range []*tab{ann, bob} {
		p.awaits("status", "Connection lost")
	}
	ann.call("Page.bringToFront", nil)
	ann.types("said while nobody listened", "Enter")
	_, lines = serveChat(t, "--history-file="+history, "--listen="+s.addrs[0])
	again := startNetcat(t, lines)
	again.awaits("hello from [31mnc") // out of the file
	again.says("first after the restart")
	for _, p := range []*tab{ann, bob} {
		p.awaits("status", "Connected")
		p.awaits("log", "said while nobody listened")
		p.awaits("log", "first after the restart")
	}
	again.awaits("said while nobody listened")
	for name, p := range map[string]*tab{"ann": ann, "bob": bob} {
		log := p.text("log")
		for _, text := range []string{"hello everybody", "hello from", "said while nobody listened", "first after the restart"} {
			if n := strings.Count(log, text); n != 1 {
				t.Errorf("%s sees %q %d times:\n%s", name, text, n, log)
			}
		}
		if strings.Contains(log, "does not remember") {
			t.Errorf("%s is told of a gap:\n%s", name, log)
		}
		if title := p.eval("document.title"); title != "lobby - Chat" {
			t.Errorf("the title is %v", title)
		}
	}
	if n := ann.eval(`waiting.size`); n != 0.0 {
		t.Errorf("%v messages wait still", n)
	}
	ann.types("/join second", "Enter")
	ann.awaits("rooms", "second")
	ann.awaits("count", "1 person is here")
}

// A page whose connection breaks before it hears what it has said first in a new room comes back to the position 0 of that room.
func TestAPageThatComesBackToTheBeginningOfARoomSaysNothingTwice(t *testing.T) {
	s, lines := serveChat(t)
	nc := startNetcat(t, lines)
	nc.awaits("/help")
	ann := openBrowser(t).open("http://" + s.addrs[0] + "/")
	until(t, "the page is loaded", func() bool {
		return ann.eval(`document.readyState === "complete" && document.activeElement && document.activeElement.id === "name"`) == true
	})
	ann.types("ann", "Enter")
	ann.awaits("count", "2 people are here")
	until(t, "the message has the focus", func() bool { return ann.eval(`document.activeElement.id`) == "text" })
	ann.eval(`socket.onmessage = null`)
	ann.types("the first words", "Enter")
	nc.awaits("ann: the first words")
	ann.eval(`socket.close()`)
	until(t, "nothing waits", func() bool { return ann.eval(`waiting.size`) == 0.0 })
	ann.types("the last words", "Enter")
	nc.awaits("ann: the last words")
	if n := strings.Count(nc.heard(), "the first words"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, nc.heard())
	}
}

// What the page asks for must be allowed by its own policy, and nothing of it comes from elsewhere.
func TestTheChatsPageIsWholeAndClosed(t *testing.T) {
	s, _ := serveChat(t)
	page := peer(t, nil, "curl", "-sSi", "http://"+s.addrs[0]+"/")
	for _, want := range []string{"Content-Security-Policy: default-src 'none'", "frame-ancestors 'none'", "X-Content-Type-Options: nosniff"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q", want)
		}
	}
	for _, asks := range []string{"src=", "href=", "url(", "@import", "<link", "innerHTML", "eval("} {
		if strings.Contains(string(page), asks) {
			t.Errorf("the page has %s in it", asks)
		}
	}
	upgrade := []string{"-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
		"-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "--http1.1"}
	if out := peer(t, nil, "curl", append(upgrade, "-H", "Origin: https://evil.example", "http://"+s.addrs[0]+"/chat")...); string(out) != "403" {
		t.Errorf("a page of another host is answered %s", out)
	}
}

func TestAFloodOfLinesIsSlowedDownAndHurtsNobody(t *testing.T) {
	_, lines := serveChat(t)
	quiet, flood := startNetcat(t, lines), startNetcat(t, lines)
	quiet.awaits("/help")
	flood.awaits("/help")
	flood.says(strings.TrimSuffix(strings.Repeat("spam\n", 200), "\n"))
	flood.awaits("not so fast")
	quiet.says("still here")
	flood.awaits("still here")
	if n := strings.Count(quiet.heard(), "spam"); n > 100 {
		t.Errorf("%d messages of the flood came", n)
	}
	long := startNetcat(t, lines)
	long.says("/join " + strings.Repeat("x", 3000))
	long.awaits("a line is at most 2000 bytes")
}

func TestAThousandComeBackToAChatThatWasKilled(t *testing.T) {
	const clients, speakers = 1000, 20
	file := "--history-file=" + filepath.Join(t.TempDir(), "history")
	s, _ := serveChat(t, "--history=2000", file)
	addr := s.addrs[0]
	d := &websocket.Dialer{Server: &switchboard.Server{Loops: 1}}
	defer d.Server.Close()
	done := make(chan struct{})
	var all []*pageless
	for i := range clients {
		p := &pageless{t: t, d: d, url: "ws://" + addr + "/chat", name: fmt.Sprintf("client-%d", i), done: done, ended: make(chan struct{}), seen: map[string]int{}}
		all = append(all, p)
		go p.run()
	}
	defer func() {
		close(done)
		for _, p := range all {
			<-p.ended
		}
	}()
	everybody := func(what string, holds func(p *pageless) bool) {
		t.Helper()
		for limit := time.Now().Add(3 * patience); ; time.Sleep(50 * time.Millisecond) {
			n := 0
			for _, p := range all {
				p.mu.Lock()
				if holds(p) {
					n++
				}
				p.mu.Unlock()
			}
			if n == clients {
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("%s: %d of %d", what, n, clients)
			}
		}
	}
	everybody("joined", func(p *pageless) bool { return p.comes == 1 })
	speak := func(word string) {
		for _, p := range all[:speakers] {
			for i := range 5 {
				p.say(fmt.Sprintf("%s %s %d", p.name, word, i))
			}
		}
	}
	speak("before")
	everybody("heard what was said before", func(p *pageless) bool { return p.seq >= 5*speakers })
	speak("during")
	s.cmd.Process.Signal(syscall.SIGKILL)
	s.wait()
	serveChat(t, "--history=2000", file, "--listen="+addr)
	everybody("came back", func(p *pageless) bool { return p.comes >= 2 && p.opened != nil })
	speak("after")
	last := fmt.Sprintf("client-%d after 4", speakers-1)
	everybody("heard what was said after", func(p *pageless) bool { return p.seen[last] > 0 && p.seq == all[0].seq })
	for _, p := range all {
		p.mu.Lock()
		for text, n := range p.seen {
			if n != 1 {
				p.wrong = append(p.wrong, fmt.Sprintf("%q came %d times", text, n))
			}
		}
		if len(p.wrong) > 0 || len(p.seen) != int(p.seq) || p.seq < 10*speakers {
			t.Errorf("%s is at %d and has seen %d: %q", p.name, p.seq, len(p.seen), p.wrong)
		}
		p.mu.Unlock()
	}
}

func TestTheStatisticsOfAChatCountBothKindsOfClients(t *testing.T) {
	s, lines := serveChat(t)
	c, err := net.Dial("tcp", lines)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil { // it is there
		t.Fatal(err)
	}
	s.stop()
	if served := s.await("served", 1); served["connections"] != 1.0 || served["clients"] != 0.0 {
		t.Errorf("%v", served)
	}
}
