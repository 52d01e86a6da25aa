package main

import (
	"testing"
)

// With its history in JetStream a chat does not move: pages come back to the new process, and go on where they were.
func TestARestartOfAChatWithItsHistoryInJetStream(t *testing.T) {
	t.Parallel()
	const clients = 20
	nats := startNATS(t, t.TempDir())
	first, lines := serveChat(t, "--nats="+nats.ClientURL(), "--nats-name=one", "--nats-history", "--grace=4s")
	s := restartable(t, first)
	pages, everybody := comeToChat(t, clients, s.addrs[0])
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
