package main

import (
	"fmt"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// With its history in JetStream a chat does not move: pages come back to the new process, and go on where they were.
func TestARestartOfAChatWithItsHistoryInJetStream(t *testing.T) {
	t.Parallel()
	const clients = 20
	nats := startNATS(t, t.TempDir())
	first, lines := serveChat(t, "--nats="+nats.ClientURL(), "--nats-name=one", "--nats-history", "--grace=4s")
	s := restartable(t, first)
	d := &websocket.Dialer{Server: &switchboard.Server{Loops: 1}}
	t.Cleanup(func() { d.Server.Close() })
	done := make(chan struct{})
	var pages []*pageless
	for i := range clients {
		p := &pageless{t: t, d: d, url: "ws://" + s.addrs[0] + "/chat", name: fmt.Sprintf("client-%d", i), done: done, ended: make(chan struct{}), seen: map[string]int{}}
		pages = append(pages, p)
		go p.run()
	}
	t.Cleanup(func() {
		close(done)
		for _, p := range pages {
			<-p.ended
		}
	})
	everybody := func(what string, holds func(p *pageless) bool) {
		t.Helper()
		for _, p := range pages {
			until(t, what, func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return holds(p)
			})
		}
	}
	everybody("come", func(p *pageless) bool { return p.comes == 1 })
	for _, p := range pages {
		p.say("before " + p.name)
	}
	everybody("hear all", func(p *pageless) bool { return len(p.seen) == clients })
	s.restart()
	late := startNetcat(t, lines) // comes to the new process
	late.awaits("before client-0")
	late.says("between")
	everybody("come to the new process", func(p *pageless) bool { return p.comes == 2 && p.seen["between"] == 1 })
	for _, p := range pages {
		p.say("after " + p.name)
	}
	everybody("hear all again", func(p *pageless) bool { return len(p.seen) == 2*clients+1 })
	for _, p := range pages {
		p.mu.Lock()
		if len(p.wrong) > 0 || p.seq != 2*clients+1 {
			t.Errorf("%s is at %d: %q", p.name, p.seq, p.wrong)
		}
		p.mu.Unlock()
	}
}
