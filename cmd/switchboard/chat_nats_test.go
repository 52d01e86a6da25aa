//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// startNATS starts a server of NATS, with JetStream if dir is not empty.
func startNATS(t *testing.T, dir string) *natsserver.Server {
	t.Helper()
	return startNATSAt(t, dir, natsserver.RANDOM_PORT)
}

func startNATSAt(t *testing.T, dir string, port int) *natsserver.Server {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: dir != "", StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not come up")
	}
	return s
}

// comeToChat has some clients come to a server. everybody waits until something holds for each of them.
func comeToChat(t *testing.T, n int, address string) (pages []*pageless, everybody func(what string, holds func(p *pageless) bool)) {
	d := &websocket.Dialer{Server: &switchboard.Server{Loops: 1}}
	t.Cleanup(func() { d.Server.Close() })
	done := make(chan struct{})
	for i := range n {
		p := &pageless{t: t, d: d, url: "ws://" + address + "/chat", name: fmt.Sprintf("client-%d", i), done: done, ended: make(chan struct{}), seen: map[string]int{}}
		pages = append(pages, p)
		go p.run()
	}
	t.Cleanup(func() {
		close(done)
		for _, p := range pages {
			<-p.ended
		}
	})
	return pages, func(what string, holds func(p *pageless) bool) {
		t.Helper()
		for _, p := range pages {
			until(t, what, func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return holds(p)
			})
		}
	}
}

// Two servers have one history in JetStream. One is killed, and its clients go on at the other, without a gap or a double.
func TestChatsWithOneHistoryInJetStream(t *testing.T) {
	nats := startNATS(t, t.TempDir())
	chat := func(name string, more ...string) (*server, string) {
		return serveChat(t, append([]string{"--nats=" + nats.ClientURL(), "--nats-name=" + name, "--nats-history"}, more...)...)
	}
	one, linesOne := chat("one")
	two, linesTwo := chat("two")

	pages, everybody := comeToChat(t, 10, one.addrs[0])
	everybody("come", func(p *pageless) bool { return p.comes == 1 })
	ann, bob := startNetcat(t, linesOne), startNetcat(t, linesTwo)
	ann.awaits("You are in the room lobby")
	bob.awaits("You are in the room lobby")
	ann.says("/nick ann")
	ann.awaits("You are ann.")
	bob.says("/nick bob")
	bob.awaits("You are bob.")
	for i := range 3 {
		ann.says(fmt.Sprint("a", i))
		bob.says(fmt.Sprint("b", i))
		pages[i].say(fmt.Sprint("p", i))
	}
	everybody("hear all", func(p *pageless) bool { return len(p.seen) == 9 })
	bob.awaits("ann@one: a2")
	ann.awaits("bob@two: b2")
	bob.awaits("here come") // who is on the other server

	one.cmd.Process.Signal(syscall.SIGKILL)
	one.wait()
	bob.says("while it was away")
	bob.awaits("] ann@one: a0")
	for _, p := range pages {
		p.mu.Lock()
		p.url = "ws://" + two.addrs[0] + "/chat"
		p.mu.Unlock()
	}
	everybody("come to the other server", func(p *pageless) bool { return p.comes == 2 && p.seen["while it was away"] == 1 })
	_, linesOne = chat("one", "--listen="+one.addrs[0])
	cid := startNetcat(t, linesOne)
	cid.awaits("] bob@two: while it was away")
	for i := range 3 {
		if text := fmt.Sprintf("b%d\n", i); strings.Count(cid.heard(), "] bob@two: "+text) != 1 {
			t.Errorf("who comes after the restart is shown\n%s", cid.heard())
		}
	}
	cid.says("after the restart")
	everybody("hear who came after the restart", func(p *pageless) bool { return p.seen["after the restart"] == 1 })
	for _, p := range pages {
		p.mu.Lock()
		if len(p.wrong) > 0 || len(p.seen) != 11 || p.seq != 11 {
			t.Errorf("%s has seen %v, is at %d: %q", p.name, p.seen, p.seq, p.wrong)
		}
		p.mu.Unlock()
	}
}

// Clients say something while JetStream is away, lose their server, and say it again to another one. It is stored once, and everybody
// hears it once.
func TestClientsChangeServersWhileJetStreamIsAway(t *testing.T) {
	const clients, each = 8, 3
	dir := t.TempDir()
	nats := startNATS(t, dir)
	var servers []*server
	var lines []string
	for _, name := range []string{"one", "two"} {
		s, l := serveChat(t, "--nats="+nats.ClientURL(), "--nats-name="+name, "--nats-history")
		servers, lines = append(servers, s), append(lines, l)
	}
	pages, everybody := comeToChat(t, clients, servers[0].addrs[0])
	everybody("come", func(p *pageless) bool { return p.comes == 1 })
	var listeners []*netcat
	for _, at := range lines {
		n := startNetcat(t, at)
		n.awaits("You are in the room lobby")
		listeners = append(listeners, n)
	}
	for _, p := range pages {
		p.say("before " + p.name)
	}
	everybody("hear all", func(p *pageless) bool { return len(p.seen) == clients })

	port := nats.Addr().(*net.TCPAddr).Port
	nats.Shutdown()
	nats.WaitForShutdown()
	sayAll := func(told int) {
		for _, p := range pages {
			for i := range each {
				p.say(fmt.Sprint("during ", i, " ", p.name))
			}
			p.ask()
		}
		everybody("are answered", func(p *pageless) bool { return p.told == told })
	}
	sayAll(1)
	for _, p := range pages {
		p.mu.Lock()
		p.url = "ws://" + servers[1].addrs[0] + "/chat"
		c := p.opened
		p.mu.Unlock()
		c.Abort()
	}
	everybody("come to the other server", func(p *pageless) bool { return p.comes == 2 && p.opened != nil })
	sayAll(2)

	startNATSAt(t, dir, port)
	const before, total = clients, clients + clients*each
	everybody("hear all again", func(p *pageless) bool { return len(p.seen) == total })
	listeners[0].says("the last of one") // behind whatever waits there
	listeners[1].says("the last of two")
	everybody("hear the last", func(p *pageless) bool { return p.seen["the last of one"] == 1 && p.seen["the last of two"] == 1 })
	for _, p := range pages {
		p.mu.Lock()
		for text, n := range p.seen {
			if n != 1 {
				t.Errorf("%s has heard %q %d times", p.name, text, n)
			}
		}
		if len(p.wrong) > 0 || p.seq != total+2 {
			t.Errorf("%s is at %d, not %d: %q", p.name, p.seq, total+2, p.wrong)
		}
		p.mu.Unlock()
	}
	for i, n := range listeners {
		n.awaits(": the last of " + []string{"two", "one"}[i])
		for _, p := range pages {
			for k := range each {
				if text := fmt.Sprint(": during ", k, " ", p.name, "\n"); strings.Count(n.heard(), text) != 1 {
					t.Errorf("nc at %d hears %q %d times", i, text, strings.Count(n.heard(), text))
				}
			}
		}
	}
}

// What keeps a chat from JetStream is told at the start.
func TestAChatWithoutJetStream(t *testing.T) {
	nats := startNATS(t, "")
	cmd := exec.Command(os.Args[0], "serve", "chat", "--listen=127.0.0.1:0", "--lines=", "--nats="+nats.ClientURL(), "--nats-history")
	out, err := cmd.CombinedOutput()
	if text := string(out); err == nil || !strings.Contains(text, "--nats-history: ") || !strings.Contains(text, "start it with -js") {
		t.Errorf("%v: %s", err, out)
	}
}
