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

	"github.com/switchboard-go/switchboard/internal/testtalk"
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
func pageTalker(t *testing.T, url, name, epoch string, seq uint64) (k *testtalk.Talker, joined chatEvent) {
	t.Helper()
	page := messageTalker(t, dialers(t)[1], url)
	hello := fmt.Sprintf(`{"type":"hello","name":%q,"token":%q,"rooms":[{"room":"lobby","epoch":%q,"seq":%d}]}`, name, name, epoch, seq)
	if err := page.Say(hello); err != nil {
		t.Fatal(err)
	}
	for joined.Type != "joined" {
		select {
		case text := <-page.Heard:
			if err := json.Unmarshal([]byte(text), &joined); err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal(name + " does not join")
		}
	}
	k = &testtalk.Talker{Heard: make(chan string, 1000), End: page.End}
	k.Say = func(text string) error {
		time.Sleep(mayTalk)
		return page.Say(fmt.Sprintf(`{"type":"say","room":"lobby","text":%q,"id":%q}`, text, text))
	}
	go func() {
		defer close(k.Heard)
		next := joined.Seq + 1
		for text := range page.Heard {
			var e chatEvent
			err := json.Unmarshal([]byte(text), &e)
			switch {
			case err == nil && e.Type == "presence" && len(e.Left) == 0:
			case err != nil || e.Type != "message" || e.Seq != next:
				k.Heard <- "! " + text
			default:
				if next++; e.From != name {
					k.Heard <- e.Text
				}
			}
		}
	}()
	return k, joined
}

// lineChatter is somebody at a terminal.
func lineChatter(t *testing.T, addr string) *testtalk.Talker {
	t.Helper()
	terminal := testtalk.Lines(dialTCP(t, addr))
	k := &testtalk.Talker{Heard: make(chan string, 1000), End: terminal.End}
	k.Say = func(text string) error {
		time.Sleep(mayTalk)
		return terminal.Say(text)
	}
	here := make(chan bool)
	go func() {
		defer close(k.Heard)
		for text := range terminal.Heard {
			_, said, found := strings.Cut(text, "]")
			_, said, isSaid := strings.Cut(said, ": ")
			switch {
			case strings.HasPrefix(text, "* You are in the room"):
				close(here)
			case found && isSaid:
				k.Heard <- said
			case strings.HasPrefix(text, "* lobby: ") && !strings.Contains(text, "left"), strings.HasPrefix(text, "* You are guest-"):
			default:
				k.Heard <- "! " + text
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
			var all []*testtalk.Talker
			for i := range 6 {
				if i%2 == 0 {
					k, _ := pageTalker(t, url, fmt.Sprintf("page-%d", i), "", 0)
					all = append(all, k)
				} else {
					all = append(all, lineChatter(t, lines))
				}
				defer all[i].End()
			}
			back, joined := pageTalker(t, url, "goes", "", 0)
			back.End()
			for range back.Heard { // until it is gone
			}
			// Everybody must have been told that it has left before nobody may leave any more.
			until(t, "it is forgotten", func() bool {
				other := testtalk.Lines(dialTCP(t, lines))
				defer other.End()
				other.Say("/nick goes")
				other.Say("/quit")
				for text := range other.Heard {
					if text == "* You are goes." {
						return true
					}
				}
				return false
			})
			var shown atomic.Int32
			said := testtalk.While(t, all, func(heard string) (string, bool) {
				if strings.Contains(heard, "left") && strings.Contains(heard, "goes") {
					return "", false
				}
				if strings.HasPrefix(heard, "!") {
					t.Errorf("somebody heard %s", heard)
				}
				shown.Add(1)
				return heard, true
			}, func() {
				for i := range 4 {
					until(t, "all talk", func() bool { return shown.Load() >= int32(8*i*len(all)) || t.Failed() })
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
				defer k.End()
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
	bob := testtalk.Lines(dialTCP(t, lines))
	defer bob.End()
	for i := range 5 {
		s.restart()
		text := fmt.Sprintf("after restart %d", i)
		if err := bob.Say(text); err != nil {
			t.Fatal(err)
		}
		p.awaits("log", text)
		p.types("heard "+text, "Enter")
		for found := false; !found; {
			select {
			case heard := <-bob.Heard:
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
