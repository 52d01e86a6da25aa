package scenarios

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
)

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// What belongs to the loop panics on another goroutine and names the method, if nothing of the user's runs on the loop.
func TestCallsOffTheLoopPanicAndNameTheMethod(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		var timer *switchboard.Timer
		onLoop(t, c, func() {
			c.SetValue(1)
			c.Pause()
			c.Resume()
			timer = c.After(1<<40, func() {})
		})
		p.says("open")
		p.hears("open") // so small an answer leaves when the handler has returned
		for name, f := range map[string]func(){
			"Conn.SetValue":    func() { c.SetValue(2) },
			"Conn.SetHandler":  func() { c.SetHandler(echo) },
			"Conn.Pause":       c.Pause,
			"Conn.Resume":      c.Resume,
			"Conn.KeepReading": func() { c.KeepReading(true) },
			"Conn.Unread":      func() { c.Unread(nil) },
			"Conn.After":       func() { c.After(0, func() {}) },
			"Conn.StartTLS":    func() { c.StartTLS(&tls.Config{}) },
			"Conn.DialPipe":    func() { c.DialPipe(t.Context(), "127.0.0.1:7", nil, nil) },
			"Pipe":             func() { switchboard.Pipe(c, c) },
			"Timer.Reset":      func() { timer.Reset(0) },
			"Timer.Stop":       func() { timer.Stop() },
		} {
			var said any
			func() {
				defer func() { said = recover() }()
				f()
			}()
			if text, _ := said.(string); !strings.Contains(text, name+" is called on another goroutine") {
				t.Errorf("%s said %v", name, said)
			}
		}
		onLoop(t, c, func() {
			if switchboard.Value[int](c) != 1 {
				t.Error("the value has changed")
			}
		})
	})
}

func TestValueIsTypedAndZeroIfItIsAnother(t *testing.T) {
	type session struct{ name string }
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		call(t, start(t, s))
		c := next(t, conns)
		onLoop(t, c, func() {
			if switchboard.Value[*session](c) != nil || switchboard.Value[int](c) != 0 {
				t.Error("there is a value before any was set")
			}
			c.SetValue(&session{"one"})
			if switchboard.Value[*session](c).name != "one" || switchboard.Value[session](c).name != "" {
				t.Error("not what was set")
			}
			if n := testing.AllocsPerRun(100, func() { switchboard.Value[*session](c).name = "two" }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	})
}

func TestMisuseIsToldWhenTheServerStarts(t *testing.T) {
	is := func(err error, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%v; want %q in it", err, part)
			}
		}
	}
	is(switchboard.ListenAndServe("127.0.0.1:0", nil), "ListenAndServe", "nil")
	is((&switchboard.Server{}).ListenAndServe("127.0.0.1:0"), "Server.Handler", "Server.Accept")
	unknown := &switchboard.Server{Handler: echo, Engine: "steam"}
	is(unknown.ListenAndServe("127.0.0.1:0"), append(switchboard.Engines(), "steam")...)
}

// A program that merely uses the library sees nothing of it in its log.
func TestNothingIsLoggedAtInfo(t *testing.T) {
	var log bytes.Buffer
	for _, engine := range append(switchboard.Engines(), "auto") {
		s := &switchboard.Server{Engine: engine, Loops: 2, Handler: echo, Logger: textLog(&log)}
		address := start(t, s)
		p := call(t, address)
		p.says("hello")
		p.hears("hello")
		p.endsOutput()
		p.hearsEnd("")
		call(t, address).resets()
		stop(s)
	}
	if log.Len() > 0 {
		t.Errorf("logged:\n%s", &log)
	}
}

// Listening tells each address when it is ready, and Addrs has them until the server stops.
func TestListeningTellsThePortThatTheSystemChose(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		listening := make(chan net.Addr, 2)
		s.Handler = echo
		s.Listening = func(addr net.Addr) { listening <- addr }
		if len(s.Addrs()) > 0 {
			t.Error("it listens before it begins")
		}
		served := make(chan error, 2)
		var want []string
		for range 2 {
			go func() { served <- s.ListenAndServe("127.0.0.1:0") }()
			at := next(t, listening).String()
			want = append(want, at)
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		var got []string
		for _, addr := range s.Addrs() {
			got = append(got, addr.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("Addrs are %v, want %v", got, want)
		}
		stop(s)
		for range 2 {
			if err := next(t, served); err != switchboard.ErrServerClosed {
				t.Errorf("served with %v", err)
			}
		}
		if left := s.Addrs(); len(left) > 0 {
			t.Errorf("it listens at %v after its end", left)
		}
	})
}

// Conns has every connection, from any goroutine and on any loop, while they come and go.
func TestConnsIteratesFromAnyGoroutine(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		address := start(t, s)
		want := map[*switchboard.Conn]bool{}
		var peers []peer
		for range 20 {
			peers = append(peers, call(t, address))
			want[next(t, conns)] = true
		}
		over := make(chan bool)
		go func() { // connections that come and go
			defer close(over)
			for range 20 {
				p := call(t, address)
				next(t, conns)
				p.Close()
			}
		}()
		check := func() {
			seen := 0
			for c := range s.Conns() {
				if want[c] {
					seen++
				}
			}
			if seen != len(want) {
				t.Errorf("saw %d of %d", seen, len(want))
			}
		}
		for c := range want {
			check()
			onLoop(t, c, check)
		}
		next(t, over)
		for c := range s.Conns() { // a word to everybody, from here
			if want[c] {
				c.Write([]byte("word"))
			}
		}
		for _, p := range peers {
			p.hears("word")
		}
		n := 0
		for range s.Conns() {
			n++
			break
		}
		if n != 1 {
			t.Errorf("went on after break: %d", n)
		}
		for _, p := range peers {
			p.Close()
		}
		eventually(t, "all are gone", func() bool {
			for range s.Conns() {
				return false
			}
			return true
		})
	})
}

// A function given to Server.Do runs on a loop, for all of its connections.
func TestDoOfAServerIsOnTheLoop(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops = 1
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		done := make(chan any, 1)
		if err := s.Do(c.Loop(), func() {
			defer func() { done <- recover() }()
			c.SetValue(7)
			c.Pause()
			c.Resume()
		}); err != nil {
			t.Fatal(err)
		}
		if v := next(t, done); v != nil {
			t.Errorf("panicked: %v", v)
		}
		p.says("as before")
		p.hears("as before")
	})
}
