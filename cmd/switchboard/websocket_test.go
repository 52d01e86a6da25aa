//go:build unix

package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

func TestDialAndServeSpeakWebSocket(t *testing.T) {
	echo := serve(t, "echo", "--listen=ws://127.0.0.1:0", "--ws-subprotocol=chat", "--ws-message=4M").addrs[0]
	if !strings.HasPrefix(echo, "ws://127.0.0.1:") {
		t.Fatalf("it listens on %s", echo)
	}
	heard, told, code := once(t, "hello\ngrüße\n\nlast", "dial", "-v", "--deflate", "--subprotocol=none,chat", echo+"/path?x=y")
	if heard != "hello\ngrüße\n\nlast\n" || code != 0 {
		t.Errorf("echo: %q, exit code %d, %s", heard, code, told)
	}
	for _, want := range []string{"connected to 127.0.0.1:", "WebSocket, subprotocol chat, compressed", "closed with code 1000"} {
		if !strings.Contains(told, want) {
			t.Errorf("--verbose does not tell %q: %s", want, told)
		}
	}
	noise := strings.Repeat("\x00\xff binary \n", 150_000)
	if heard, told, code := once(t, noise, "dial", "--binary", echo); heard != noise || code != 0 {
		t.Errorf("--binary: %d bytes of %d, exit code %d, %s", len(heard), len(noise), code, told)
	}
	if heard, _, _ := once(t, "hi\n", "dial", "--hex", echo); !strings.Contains(heard, "> 00000000  68 69") || !strings.Contains(heard, "< 00000000  68 69") {
		t.Errorf("--hex: %q", heard)
	}
	for service, c := range map[string][2]string{
		"lines":   {"hello\ngrüße\n", "HELLO\nGRÜßE\n"},
		"daytime": {"", "-"},
		"chargen": {"", " !\"#$%&'()*+,-./0123456789:;<=>?@ABC"},
		"discard": {"nothing\n", ""},
	} {
		at := serve(t, service, "--listen=ws://127.0.0.1:0").addrs[0]
		d := runs(t, os.Args[0], "dial", at)
		if service == "discard" {
			d.says(c[0])
			continue
		}
		d.says(c[0])
		for _, want := range strings.Split(strings.TrimSuffix(c[1], "\n"), "\n") {
			if service == "lines" {
				want = strings.ToUpper(want)
			}
			d.hears(want)
		}
	}
}

func TestAGatewayFromWebSocketToTCP(t *testing.T) {
	behind := serve(t, "echo").addrs[0]
	at := serve(t, "proxy", "--listen=wss://127.0.0.1:0", "--tls-self-signed", "--to="+behind).addrs[0]
	noise := strings.Repeat("any bytes \x00\xff", 200_000)
	heard, told, code := once(t, noise, "dial", "--binary", "--tls-insecure", at)
	if heard != noise || code != 0 {
		t.Errorf("%d bytes of %d, exit code %d, %s", len(heard), len(noise), code, told)
	}
	daytime := serve(t, "daytime").addrs[0]
	at = serve(t, "proxy", "--listen=ws://127.0.0.1:0", "--to="+daytime).addrs[0]
	if heard, told, code := once(t, "", "dial", "-v", at); !strings.Contains(heard, ", 20") || code != 0 || !strings.Contains(told, "closed with code 1000") {
		t.Errorf("a target that ends: %q, exit code %d, %s", heard, code, told)
	}
	at = serve(t, "proxy", "--listen=ws://127.0.0.1:0", "--to=127.0.0.1:1").addrs[0]
	if _, told, code := once(t, "hello\n", "dial", at); code != exitFailed || !strings.Contains(told, "code 1014: no target answers") {
		t.Errorf("no target: exit code %d, %s", code, told)
	}
}

func TestBenchSpeaksWebSocket(t *testing.T) {
	echo := serve(t, "echo", "--listen=ws://127.0.0.1:0", "--quiet").addrs[0]
	lines := serve(t, "lines", "--listen=ws://127.0.0.1:0", "--quiet").addrs[0]
	for _, args := range [][]string{
		{echo + "/path"}, {"--depth=8", "--size=1-100000", echo}, {"--churn", echo}, {"--deflate", "--size=2000", echo},
		{"--rate=500", "--idle=5", echo}, {"--expect=line", lines}, {"--expect=none", echo},
	} {
		out, told, code := once(t, "", append([]string{"bench", "--conns=3", "--duration=300ms", "--warmup=50ms", "--quiet", "--json"}, args...)...)
		if code != 0 || !strings.Contains(out, `"answered"`) && !strings.Contains(out, `"sent"`) {
			t.Errorf("%q: exit code %d, %s", args, code, told)
		}
	}
}

func TestWrongCallsOfWebSocket(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"serve", "echo", "--listen=ws://127.0.0.1:0", "--listen=127.0.0.1:0"}, "either all addresses", exitUsage},
		{[]string{"serve", "echo", "--listen=wss://127.0.0.1:0"}, "wss needs", exitUsage},
		{[]string{"serve", "echo", "--listen=ws://127.0.0.1:0", "--tls-self-signed"}, "wss://", exitUsage},
		{[]string{"serve", "echo", "--ws-ping=1s"}, "is for --listen ws://", exitUsage},
		{[]string{"serve", "echo", "--listen=ws://127.0.0.1:0", "--ws-message=0"}, "--ws-message", exitUsage},
		{[]string{"serve", "echo", "--listen=ws://127.0.0.1:0", "--ws-message=2M", "--queue-limit=1M"}, "--queue-limit", exitUsage},
		{[]string{"serve", "echo", "--listen=ws://127.0.0.1:0", "--mode=select"}, "in the mode loop", exitUsage},
		{[]string{"serve", "echo", "--listen=ws://127.0.0.1"}, "the port is missing", exitUsage},
		{[]string{"dial", "--binary", "127.0.0.1:1"}, "is for ws://", exitUsage},
		{[]string{"dial", "--header=nonsense", "ws://127.0.0.1:1"}, "NAME: VALUE", exitUsage},
		{[]string{"dial", "--udp", "ws://127.0.0.1:1"}, "--udp", exitUsage},
		{[]string{"dial", "--tls-insecure", "ws://127.0.0.1:1"}, "--tls-insecure is for", exitUsage},
		{[]string{"dial", "ws://"}, "the host is missing", exitUsage},
		{[]string{"dial", "ws://127.0.0.1:1"}, "nothing listens there", exitFailed},
		{[]string{"bench", "--expect=http", "ws://127.0.0.1:1"}, "over WebSocket", exitUsage},
		{[]string{"bench", "--header=a:b", "127.0.0.1:1"}, "is for http://", exitUsage},
	} {
		if out, told, code := once(t, "", c.args...); code != c.code || !strings.Contains(told, c.want) {
			t.Errorf("%q: exit code %d, %s%s", c.args, code, out, told)
		}
	}
	plain := serve(t, "echo").addrs[0]
	if _, told, code := once(t, "hi\n", "dial", "ws://"+plain); code != exitFailed || !strings.Contains(told, "the answer is not HTTP") {
		t.Errorf("no WebSocket there: exit code %d, %s", code, told)
	}
	echo := serve(t, "echo", "--listen=ws://127.0.0.1:0").addrs[0]
	if _, told, code := once(t, "hi\n", "dial", "--header=Origin: https://evil.example", echo); code != exitFailed || !strings.Contains(told, "403") {
		t.Errorf("another origin: exit code %d, %s", code, told)
	}
}

// The sizes and the offers of compression of the Autobahn test suite's sections 2 and 9 to 13, from Python's websockets, with
// nothing but the address said to the server.
func TestServeEchoesWhatAutobahnSends(t *testing.T) {
	python := pythonWithWebSockets(t)
	at := serve(t, "echo", "--listen=ws://127.0.0.1:0").addrs[0]
	var out bytes.Buffer
	cmd := exec.Command(python, "testdata/websockets_sizes.py", at)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || out.String() != "ok\n" {
		t.Errorf("%v: %s", err, out.String())
	}
}

func pythonWithWebSockets(t *testing.T) string {
	t.Helper()
	python := "/usr/bin/python3" // for which the system's packages are
	if exec.Command(python, "-c", "import websockets").Run() != nil {
		python = installed(t, "python3")
	}
	if exec.Command(python, "-c", "import websockets").Run() != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 has no package websockets")
		}
		t.Skip("python3 has no package websockets (Debian's python3-websockets)")
	}
	return python
}

// A server that closes in order has not taken what dial has not sent: that is no success.
func TestInputThatAWebSocketDidNotTakeIsAnError(t *testing.T) {
	closes := func(after string) string {
		at := make(chan string, 1)
		s := &switchboard.Server{Loops: 1, Listening: func(a net.Addr) { at <- "ws://" + a.String() }}
		s.Accept = (&websocket.Upgrader{Handler: websocket.MessageFunc(func(c *websocket.Conn, _ websocket.Kind, p []byte) error {
			if string(p) == after {
				return c.Close(websocket.CodeNormal, "enough")
			}
			return nil
		})}).Accept
		ended := make(chan error, 1)
		go func() { ended <- s.ListenAndServe("127.0.0.1:0") }()
		t.Cleanup(func() {
			s.Close()
			<-ended
		})
		return <-at
	}
	input := "first\n" + strings.Repeat("x", 1<<20)
	if _, told, code := once(t, input, "dial", closes("first")); code != exitFailed || !strings.Contains(told, "before all of the input was sent") {
		t.Errorf("exit code %d, %s", code, told)
	}
	if _, told, code := once(t, "first\nlast", "dial", closes("last")); code != 0 {
		t.Errorf("all was sent: exit code %d, %s", code, told)
	}
}
