package chat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// talk serves a chat's lines, and returns where.
func talk(t *testing.T, chat *Chat) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := chat.Lines()
	s := &switchboard.Server{Logger: quiet, Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return h, nil }}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-ended; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// A person talks in lines.
type person struct {
	t     *testing.T
	c     net.Conn
	lines *bufio.Scanner
}

func visit(t *testing.T, addr string) *person {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return &person{t, c, bufio.NewScanner(c)}
}

// hears reads until a line has some text, and returns it.
func (p *person) hears(text string) string {
	p.t.Helper()
	var all strings.Builder
	for p.lines.Scan() {
		fmt.Fprintln(&all, p.lines.Text())
		if strings.Contains(p.lines.Text(), text) {
			return p.lines.Text()
		}
	}
	p.t.Fatalf("no %q, %v:\n%s", text, p.lines.Err(), all.String())
	return ""
}

func startNATS(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
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

func TestTwoServersAreOneChatThroughNATS(t *testing.T) {
	s := startNATS(t)
	var people []*person
	for _, name := range []string{"one", "two"} {
		b, err := natsroom.Connect(s.ClientURL(), natsroom.Options{Name: name, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		p := visit(t, talk(t, New(Config{Bridge: b, Logger: quiet, History: room.History{Messages: 10}})))
		p.hears("You are in the room lobby")
		fmt.Fprintln(p.c, "/nick ann")
		p.hears("You are ann.")
		people = append(people, p)
	}
	for i, other := range []string{"ann@two", "ann@one"} {
		p := people[i]
		until(t, "the people of the other server are not shown", func() bool {
			fmt.Fprintln(p.c, "/who")
			got := p.hears("in the room lobby")
			time.Sleep(250 * time.Millisecond) // with more than five in a second commands are refused
			return strings.HasSuffix(got, "2 are in the room lobby: ann, "+other)
		})
	}
	fmt.Fprintln(people[0].c, "hello over there")
	if got := people[1].hears("hello over there"); !strings.HasSuffix(got, "lobby] ann@one: hello over there") {
		t.Errorf("the other server shows %q", got)
	}
	fmt.Fprintln(people[1].c, "hello back")
	if got := people[0].hears("hello back"); !strings.HasSuffix(got, "lobby] ann@two: hello back") {
		t.Errorf("the other server shows %q", got)
	}
	fmt.Fprintln(people[0].c, "/nick anna")
	people[0].hears("You are anna.")
	people[1].hears("anna@one")
	fmt.Fprintln(people[0].c, "/nick ANN")
	if got := people[0].hears("is on another server"); got != "* ann@two is on another server (two), with a name like yours: there yours is shown with this server's name behind it." {
		t.Errorf("of somebody with the same name it is told %q", got)
	}
	late := visit(t, people[1].c.RemoteAddr().String())
	late.hears("You are in the room lobby")
	if got := late.hears("hello back"); !strings.Contains(got, "] ann: hello back") {
		t.Errorf("an own message is shown as %q", got)
	}
}

// What comes through NATS from somebody who may publish there is text, and is nobody of this server.
func TestForgedMessagesAreTextOfStrangers(t *testing.T) {
	s := startNATS(t)
	connect := func(name string) *natsroom.Bridge {
		b, err := natsroom.Connect(s.ClientURL(), natsroom.Options{Name: name, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	p := visit(t, talk(t, New(Config{Bridge: connect("one"), Logger: quiet})))
	p.hears("You are in the room lobby")
	fmt.Fprintln(p.c, "/nick ann")
	p.hears("You are ann.")
	forger, err := (&room.Hub{Bridge: connect(""), Logger: quiet}).Room(Lobby)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the two do not hear each other", func() bool {
		names, _ := forger.Members()
		return slices.Contains(names, "ann@one")
	})
	for _, c := range []struct{ from, text, want string }{
		{"ann", "hello", "ann@?: helloend"},
		{"bob@two", "\x1b[2J\x07one\n[12:00 lobby] ann: two\u202e", "bob@two: [2Jone [12:00 lobby] ann: twoend"},
		{"\x1b]0;x\x07eve\n@two", "\xff", "]0;xeve @two: \ufffdend"},
	} {
		if _, err := forger.Publish(room.Message{From: c.from, Data: []byte(c.text + "end")}); err != nil {
			t.Fatal(err)
		}
		_, got, _ := strings.Cut(p.hears("end"), "] ")
		if got != c.want {
			t.Errorf("%q says %q: it is shown as %q, not %q", c.from, c.text, got, c.want)
		}
	}
	if got := textOf(&room.Message{Data: []byte(strings.Repeat("é", LongestText))}); got != strings.Repeat("é", LongestText/2) {
		t.Errorf("%d bytes of a long message are shown", len(got))
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal(what)
		}
	}
}
