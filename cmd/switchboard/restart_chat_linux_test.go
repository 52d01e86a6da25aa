package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A chatEvent is what a page is told.
type chatEvent struct {
	Type, Epoch, Text, From string
	Seq, N                  uint64
	Gap                     bool
	Left                    []string
}

// mayTalk is how long somebody waits before it talks on: a chat takes three messages a second.
const mayTalk = 350 * time.Millisecond

// pageTalker is somebody with a page. joined is what it is told of the lobby. What others say comes as it is, and what else must not come
// with an exclamation mark.
func pageTalker(t *testing.T, url, name, epoch string, seq uint64) (k *talker, joined chatEvent) {
	t.Helper()
	page := messageTalker(t, dialers(t)[1], url)
	hello := fmt.Sprintf(`{"type":"hello","name":%q,"token":%q,"rooms":[{"room":"lobby","epoch":%q,"seq":%d}]}`, name, name, epoch, seq)
	if err := page.say(hello); err != nil {
		t.Fatal(err)
	}
	for joined.Type != "joined" {
		select {
		case text := <-page.heard:
			if err := json.Unmarshal([]byte(text), &joined); err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal(name + " does not join")
		}
	}
	k = &talker{heard: make(chan string, 1000), end: page.end}
	k.say = func(text string) error {
		time.Sleep(mayTalk)
		return page.say(fmt.Sprintf(`{"type":"say","room":"lobby","text":%q,"id":%q}`, text, text))
	}
	go func() {
		defer close(k.heard)
		next := joined.Seq + 1
		for text := range page.heard {
			var e chatEvent
			err := json.Unmarshal([]byte(text), &e)
			switch {
			case err == nil && e.Type == "presence" && len(e.Left) == 0:
			case err != nil || e.Type != "message" || e.Seq != next:
				k.heard <- "! " + text
			default:
				if next++; e.From != name {
					k.heard <- e.Text
				}
			}
		}
	}()
	return k, joined
}

// lineChatter is somebody at a terminal.
func lineChatter(t *testing.T, addr string) *talker {
	t.Helper()
	terminal := lineTalker(dialTCP(t, addr))
	k := &talker{heard: make(chan string, 1000), end: terminal.end}
	k.say = func(text string) error {
		time.Sleep(mayTalk)
		return terminal.say(text)
	}
	here := make(chan bool)
	go func() {
		defer close(k.heard)
		for text := range terminal.heard {
			_, said, found := strings.Cut(text, "]")
			_, said, isSaid := strings.Cut(said, ": ")
			switch {
			case strings.HasPrefix(text, "* You are in the room"):
				close(here)
			case found && isSaid:
				k.heard <- said
			case strings.HasPrefix(text, "* lobby: ") && !strings.Contains(text, "left"), strings.HasPrefix(text, "* You are guest-"):
			default:
				k.heard <- "! " + text
			}
		}
	}()
	select {
	case <-here:
	case <-time.After(patience):
		t.Fatal("nobody is let in")
	}
	return k
}

func TestARestartOfAChatDropsNobody(t *testing.T) {
	for _, engine := range []string{"uring", "epoll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			file := "--history-file=" + filepath.Join(t.TempDir(), "history")
			first, lines := serveChat(t, file, "--engine", engine)
			s := restartable(t, first)
			url := "ws://" + s.addrs[0] + "/chat"
			var all []*talker
			for i := range 6 {
				if i%2 == 0 {
					k, _ := pageTalker(t, url, fmt.Sprintf("page-%d", i), "", 0)
					all = append(all, k)
				} else {
					all = append(all, lineChatter(t, lines))
				}
				defer all[i].end()
			}
			back, joined := pageTalker(t, url, "goes", "", 0)
			back.end()
			for range back.heard { // until it is gone
			}
			// Everybody must have been told that it has left before nobody may leave any more.
			until(t, "it is forgotten", func() bool {
				other := lineTalker(dialTCP(t, lines))
				defer other.end()
				other.say("/nick goes")
				other.say("/quit")
				for text := range other.heard {
					if text == "* You are goes." {
						return true
					}
				}
				return false
			})
			var shown atomic.Int32
			said := talkWhile(t, all, func(heard string) (string, bool) {
				if strings.Contains(heard, "left") && strings.Contains(heard, "goes") {
					return "", false
				}
				if strings.HasPrefix(heard, "!") {
					t.Errorf("somebody heard %s", heard)
				}
				shown.Add(1)
				return heard, true
			}, func() {
				for range 4 {
					if e := s.restart(); e["stayed"] != 0.0 || e["connections"].(float64) < float64(len(all)) {
						t.Errorf("%v", e)
					}
				}
			})
			t.Log(said, "messages")
			if t.Failed() {
				return
			}
			sees := func(why string) {
				t.Helper()
				k, now := pageTalker(t, url, "comes", joined.Epoch, joined.Seq)
				defer k.end()
				if now.Gap || now.Epoch != joined.Epoch || now.Seq != joined.Seq || now.N != uint64(said) {
					t.Errorf("%s: %+v, of %d after %+v", why, now, said, joined)
				}
			}
			sees("after the restarts")
			syscall.Kill(s.pid, syscall.SIGKILL)
			<-s.ended
			s.times = 0
			again, _ := serveChat(t, file, "--engine", engine)
			url = "ws://" + again.addrs[0] + "/chat"
			sees("after the end")
		})
	}
}

// The page of a chat notices nothing of restarts.
func TestAPageOfAChatNoticesNoRestart(t *testing.T) {
	first, lines := serveChat(t)
	s := restartable(t, first)
	p := openBrowser(t).open("http://" + s.addrs[0] + "/")
	p.call("Page.bringToFront", nil)
	until(t, "the page is loaded", func() bool {
		return p.eval(`document.readyState === "complete" && document.activeElement && document.activeElement.id === "name"`) == true
	})
	p.types("ann", "Enter")
	p.awaits("status", "Connected")
	p.eval(`socket.first = true; changes = 0; new MutationObserver(() => changes++).observe(document.getElementById("status"),
		{childList: true, characterData: true, subtree: true}); 0`)
	bob := lineTalker(dialTCP(t, lines))
	defer bob.end()
	for i := range 5 {
		s.restart()
		text := fmt.Sprintf("after restart %d", i)
		if err := bob.say(text); err != nil {
			t.Fatal(err)
		}
		p.awaits("log", text)
		p.types("heard "+text, "Enter")
		for found := false; !found; {
			select {
			case heard := <-bob.heard:
				found = strings.HasSuffix(heard, "ann: heard "+text)
			case <-time.After(patience):
				t.Fatalf("what the page said is not heard")
			}
		}
	}
	if same := p.eval(`socket.first === true && socket.readyState === WebSocket.OPEN && changes === 0 && tries === 0`); same != true {
		t.Errorf("the page has connected again: %v", p.eval(`[socket.first, socket.readyState, changes, tries].join()`))
	}
	log := p.text("log")
	for i := range 5 {
		text := fmt.Sprintf("after restart %d", i)
		if n := strings.Count(log, text); n != 2 {
			t.Errorf("%q is there %d times:\n%s", text, n, log)
		}
	}
	if strings.Contains(log, "left") {
		t.Errorf("somebody has left:\n%s", log)
	}
}
