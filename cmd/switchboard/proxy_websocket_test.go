//go:build !windows

package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// closesSoon has an echo, which never ends by itself, closed after less than ten minutes. On a busy machine it may pause.
const closesSoon = "--to-ws-close-after=5s"

func TestAProxyFromTCPToWebSocket(t *testing.T) {
	noise := strings.Repeat("any bytes \x00\xff", 200_000)
	for name, c := range map[string]struct{ target, proxy []string }{
		"ws":               {nil, nil},
		"compressed":       {nil, []string{"--to-ws-deflate"}},
		"wss":              {[]string{"--listen=wss://127.0.0.1:0", "--tls-self-signed"}, []string{"--to-tls-insecure"}},
		"clients with TLS": {nil, []string{"--tls-self-signed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := c.target
			if target == nil {
				target = []string{"--listen=ws://127.0.0.1:0"}
			}
			behind := serve(t, append([]string{"echo"}, target...)...).addrs[0]
			at := serve(t, append([]string{"proxy", "--listen=127.0.0.1:0", "--to=" + behind, closesSoon}, c.proxy...)...).addrs[0]
			dial := []string{"dial", at}
			if name == "clients with TLS" {
				dial = []string{"dial", "--tls-insecure", "tls://" + strings.TrimPrefix(at, "tls://")}
			}
			heard, told, code := once(t, noise, dial...) // it ends its output first, and the answers still come
			if heard != noise || code != 0 {
				t.Errorf("%d bytes of %d, exit code %d, %s", len(heard), len(noise), code, told)
			}
		})
	}
}

// What one proxy takes out of WebSocket another one puts back.
func TestProxiesBothWays(t *testing.T) {
	echo := serve(t, "echo", "--listen=ws://127.0.0.1:0").addrs[0]
	bridge := serve(t, "proxy", "--listen=127.0.0.1:0", "--to="+echo).addrs[0]
	gateway := serve(t, "proxy", "--listen=ws://127.0.0.1:0", "--to="+bridge).addrs[0]
	noise := strings.Repeat("any bytes \x00\xff", 200_000)
	d := runs(t, os.Args[0], "dial", "--binary", gateway)
	go io.WriteString(d.input, noise)
	got := make([]byte, len(noise))
	if _, err := io.ReadFull(d.output, got); err != nil || string(got) != noise {
		t.Errorf("what came back is the same: %v, %v", string(got) == noise, err)
	}
}

// A target decides how its client ends.
func TestTheEndOfAWebSocketTargetIsItsClients(t *testing.T) {
	for name, c := range map[string]struct {
		frames string
		heard  string
		want   error
	}{
		"in order":      {"\x82\x02hi\x88\x02\x03\xe8", "hi", io.EOF},
		"going away":    {"\x82\x02hi\x88\x02\x03\xe9", "hi", io.EOF},
		"with an error": {"\x88\x02\x03\xf3", "", syscall.ECONNRESET},
		"cut off":       {"", "", syscall.ECONNRESET},
		"wrong frame":   {"\x83\x00", "", syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			target := webSocketTarget(t, func(conn net.Conn) {
				io.WriteString(conn, c.frames)
				if strings.Contains(c.frames, "\x88") {
					io.Copy(io.Discard, conn) // until the other side has answered
				}
			})
			at := serve(t, "proxy", "--listen=127.0.0.1:0", "--to=ws://"+target+"/path", "--to-ws-header=X-Test: yes", "--to-ws-subprotocol=binary").addrs[0]
			conn, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			var heard strings.Builder
			buf := make([]byte, 100)
			for err == nil {
				var n int
				n, err = conn.Read(buf)
				heard.Write(buf[:n])
			}
			if heard.String() != c.heard || !errors.Is(err, c.want) {
				t.Errorf("heard %q and then %v, want %q and %v", heard.String(), err, c.heard, c.want)
			}
		})
	}
}

// webSocketTarget is a server that opens WebSockets by hand, for requests as a proxy was told to make them.
func webSocketTarget(t *testing.T, serve func(conn net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			r, err := http.ReadRequest(in)
			if err == nil {
				if r.URL.Path != "/path" || r.Header.Get("X-Test") != "yes" || r.Header.Get("Sec-WebSocket-Protocol") != "binary" {
					t.Errorf("it asked for %s with %v", r.URL, r.Header)
				}
				sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, section 1.3
				io.WriteString(conn, "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: binary\r\n"+
					"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
				conn.SetDeadline(time.Now().Add(time.Minute))
				serve(conn)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// A server that is no WebSocket's does not answer as far as a proxy is concerned.
func TestATargetThatOpensNoWebSocketIsSkipped(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.NotFoundHandler()}
	go web.Serve(l)
	t.Cleanup(func() { web.Close() })
	echo := serve(t, "echo", "--listen=ws://127.0.0.1:0").addrs[0]
	both := serve(t, "proxy", "--listen=127.0.0.1:0", "--to=ws://"+l.Addr().String(), "--to="+echo, "--to-ws-close-after=1s").addrs[0]
	for range 3 {
		if heard, told, code := once(t, "hello", "dial", both); heard != "hello" || code != 0 {
			t.Errorf("heard %q, exit code %d, %s", heard, code, told)
		}
	}
	alone := serve(t, "proxy", "--listen=127.0.0.1:0", "--to=ws://"+l.Addr().String()).addrs[0]
	if heard, told, code := once(t, "hello", "dial", alone); heard != "" || code != exitFailed || !strings.Contains(told, "reset") {
		t.Errorf("heard %q, exit code %d, %s", heard, code, told)
	}
}

// Python's websockets serves, and its client ends in order.
func TestAProxyToPythonsWebSockets(t *testing.T) {
	python := pythonWithWebSockets(t)
	target := runs(t, python, "-c", `
import asyncio, websockets
async def upper(ws, *path):
    async for m in ws:
        await ws.send(m.upper())
    print("closed", ws.close_code, flush=True)
async def main():
    async with websockets.serve(upper, "127.0.0.1", 0) as server:
        print("127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())`)
	at := serve(t, "proxy", "--listen=127.0.0.1:0", "--to=ws://"+target.hears("127.0.0.1:"), "--to-ws-deflate", closesSoon).addrs[0]
	said := strings.Repeat("hello from tcp ", 20_000)
	if heard, told, code := once(t, said, "dial", at); heard != strings.ToUpper(said) || code != 0 {
		t.Errorf("%d bytes of %d, exit code %d, %s", len(heard), len(said), code, told)
	}
	target.hears("closed 1000")
}

func TestWrongCallsOfAProxyToWebSocket(t *testing.T) {
	for want, args := range map[string][]string{
		"for clients that do not speak WebSocket": {"--listen=ws://127.0.0.1:0", "--to=ws://127.0.0.1:1"},
		"--to-ws-header is for ws://":             {"--to=127.0.0.1:1", "--to-ws-header=A: b"},
		"--to-ws-close-after is for ws://":        {"--to=127.0.0.1:1", "--to-ws-close-after=1s"},
		"it cannot be negative":                   {"--to=ws://127.0.0.1:1", "--to-ws-close-after=-1s"},
		"--to-ws-header \"A\": it must be":        {"--to=ws://127.0.0.1:1", "--to-ws-header=A"},
		"the host is missing":                     {"--to=ws://:80"},
		"proxy takes ws://HOST:PORT/PATH":         {"--to=ws+unix:/tmp/a.sock"},
		"a fragment":                              {"--to=ws://127.0.0.1:1/#a"},
		"--to-tls-insecure is for tls://":         {"--to=ws://127.0.0.1:1", "--to-tls-insecure"},
	} {
		_, told, code := once(t, "", append([]string{"serve", "proxy", "--listen=127.0.0.1:0"}, args...)...)
		if args[0][:8] == "--listen" {
			_, told, code = once(t, "", append([]string{"serve", "proxy"}, args...)...)
		}
		if code == 0 || !strings.Contains(told, want) {
			t.Errorf("%q: exit code %d, %s", args, code, told)
		}
	}
}

// WebSocket has no half-close. A target that has said nothing since its client did still owes its answer.
func TestATargetsLateAnswerIsNotLost(t *testing.T) {
	for name, c := range map[string]struct {
		before, after, close string // what the target says at once, three seconds later, and when it is closed
		args                 []string
		heard                string
		want                 error
	}{
		"late":             {"", "\x82\x05hello\x88\x02\x03\xe8", "", []string{"--to-ws-close-after=1s"}, "hello", io.EOF},
		"pauses":           {"\x82\x05hello", "\x82\x06 world\x88\x02\x03\xe8", "", nil, "hello world", io.EOF},
		"answered":         {"\x82\x05hello", "", "\x88\x02\x03\xe8", []string{"--to-ws-close-after=1s"}, "hello", io.EOF},
		"by half-close":    {"\x82\x05hello", "", "\x88\x02\x03\xe8", []string{"--half-close-timeout=1s"}, "hello", io.EOF},
		"by all at once":   {"\x82\x05hello", "", "\x88\x02\x03\xe8", []string{"--half-close-timeout=1s", "--idle-timeout=1s"}, "hello", io.EOF},
		"longer than both": {"\x82\x05hello", "\x82\x06 world\x88\x02\x03\xe8", "", []string{"--to-ws-close-after=1m", "--half-close-timeout=1s", "--idle-timeout=1s"}, "hello world", io.EOF},
		"no answer":        {"", "", "", []string{"--half-close-timeout=1s"}, "", syscall.ECONNRESET},
		"closed too early": {"\x82\x05hello", "", "\x82\x05world\x88\x02\x03\xe8", []string{"--to-ws-close-after=1s"}, "hello", syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := webSocketTarget(t, func(conn net.Conn) {
				io.WriteString(conn, c.before)
				time.AfterFunc(3*time.Second, func() { io.WriteString(conn, c.after) })
				for buf := make([]byte, 200); ; { // frames come whole: they are few
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					switch buf[0] {
					case 0x89: // a client's ping: header, key, payload
						io.WriteString(conn, "\x8a"+string(rune(n-6))+unmasked(buf[2:n]))
					case 0x88:
						io.WriteString(conn, c.close)
						return
					}
				}
			})
			at := serve(t, append([]string{"proxy", "--listen=127.0.0.1:0", "--to=ws://" + target + "/path", "--to-ws-header=X-Test: yes",
				"--to-ws-subprotocol=binary"}, c.args...)...).addrs[0]
			conn, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			conn.(*net.TCPConn).CloseWrite()
			heard, err := io.ReadAll(conn)
			if err == nil {
				err = io.EOF
			}
			if string(heard) != c.heard || !errors.Is(err, c.want) {
				t.Errorf("heard %q and then %v, want %q and %v", heard, err, c.heard, c.want)
			}
		})
	}
}

// unmasked is the payload behind its key.
func unmasked(p []byte) string {
	var b strings.Builder
	for i, c := range p[4:] {
		b.WriteByte(c ^ p[i%4])
	}
	return b.String()
}

// The queue to a target may be shorter than the messages that the proxy would make.
func TestAProxyToWebSocketWithAShortQueue(t *testing.T) {
	noise := strings.Repeat("any bytes \x00\xff", 50_000)
	echo := serve(t, "echo", "--listen=ws://127.0.0.1:0").addrs[0]
	at := serve(t, "proxy", "--listen=127.0.0.1:0", "--to="+echo, closesSoon, "--queue-limit=3k", "--high-water=1k", "--read-buffer=1k").addrs[0]
	if heard, told, code := once(t, noise, "dial", at); heard != noise || code != 0 {
		t.Errorf("%d bytes of %d, exit code %d, %s", len(heard), len(noise), code, told)
	}
}

// muchIsSaid is how much a target says before it reads anything, and then it reads as much: more than the kernel holds.
const muchIsSaid = 40 << 20

// saysMuchFirst is such a target. What it says begins each piece of 16 KiB with header.
func saysMuchFirst(conn net.Conn, header, end string) {
	piece := header + strings.Repeat("x", 16<<10)
	for range muchIsSaid >> 14 {
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
	}
	for in, heard := bufio.NewReader(conn), int64(0); heard < muchIsSaid; {
		n := int64(muchIsSaid)
		if header != "" { // of a client's message, with its key; none is longer than 64 KiB
			head := make([]byte, 8)
			if _, err := io.ReadFull(in, head[:6]); err != nil {
				return
			}
			if n = int64(head[1] & 0x7f); n == 126 {
				io.ReadFull(in, head[6:])
				n = int64(head[2])<<8 | int64(head[3])
			}
			if head[0] != 0x82 { // a ping
				heard -= n
			}
		}
		if _, err := io.CopyN(io.Discard, in, n); err != nil {
			return
		}
		heard += n
	}
	io.WriteString(conn, end)
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, conn)
}

// A peer that reads nothing until its own words are taken, as an echo does when it is sent too much, must not be waited for.
func TestNobodyStopsListeningToWhoDoesNotListen(t *testing.T) {
	const header, goodbye = "\x82\x7e\x40\x00", "\x88\x02\x03\xe8"
	overWebSocket := func(t *testing.T) string {
		return "ws://" + webSocketTarget(t, func(conn net.Conn) { saysMuchFirst(conn, header, goodbye) }) + "/path"
	}
	for name, dial := range map[string]func(t *testing.T) []string{
		"dial": func(t *testing.T) []string {
			return []string{"--binary", "--header=X-Test: yes", "--subprotocol=binary", overWebSocket(t)}
		},
		"proxy to WebSocket": func(t *testing.T) []string {
			return serve(t, "proxy", "--listen=127.0.0.1:0", "--to="+overWebSocket(t), "--to-ws-header=X-Test: yes", "--to-ws-subprotocol=binary").addrs
		},
		"proxy from WebSocket": func(t *testing.T) []string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					saysMuchFirst(conn, "", "")
					conn.Close()
				}
			}()
			return []string{"--binary", serve(t, "proxy", "--listen=ws://127.0.0.1:0", "--to="+l.Addr().String()).addrs[0]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			heard, told, code := once(t, strings.Repeat("y", muchIsSaid), append([]string{"dial"}, dial(t)...)...)
			if len(heard) != muchIsSaid || code != 0 {
				t.Errorf("%d bytes of %d, exit code %d, %s", len(heard), muchIsSaid, code, told)
			}
		})
	}
}
