package websocket

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A tester is the other side of an echo: a client of a server, or the server of a client. It writes and reads frames by
// itself: an error of the codec must not hide itself.
type tester struct {
	t      testing.TB
	conn   net.Conn
	in     *bufio.Reader
	client bool
	ext    string // what was agreed on

	kind       byte // of a message that has begun to come; 0: none has
	compressed bool
	whole      strings.Builder
}

// asClient opens a WebSocket to a server.
func asClient(t testing.TB, address, offer string) *tester {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	x := &tester{t: t, conn: conn, in: bufio.NewReader(conn), client: true}
	x.begin()
	if offer != "" {
		offer = "Sec-WebSocket-Extensions: " + offer + "\r\n"
	}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\n%s%s\r\n", askLines, offer)
	answer, err := http.ReadResponse(x.in, &http.Request{Method: "GET"})
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the answer is %v, %v", answer, err)
	}
	x.ext = answer.Header.Get("Sec-WebSocket-Extensions")
	return x
}

// asServer opens a WebSocket for a client that connects to l.
func asServer(t testing.TB, l net.Listener, accept func(offer string) string) *tester {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	x := &tester{t: t, conn: conn, in: bufio.NewReader(conn)}
	x.begin()
	r, err := http.ReadRequest(x.in)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if accept != nil {
		x.ext = accept(r.Header.Get("Sec-WebSocket-Extensions"))
	}
	field := ""
	if x.ext != "" {
		field = "Sec-WebSocket-Extensions: " + x.ext + "\r\n"
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
		base64.StdEncoding.EncodeToString(sum[:]), field)
	return x
}

func (x *tester) begin() {
	x.t.Cleanup(func() { x.conn.Close() })
	x.conn.SetDeadline(time.Now().Add(3 * patience))
}

// encode returns a frame as RFC 6455, section 5.2 has it.
func (x *tester) encode(f rawFrame) []byte {
	b := []byte{f.first}
	masked := byte(0)
	if x.client {
		masked = 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	if !x.client {
		return append(b, f.payload...)
	}
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], rand.Uint32())
	b = append(b, key[:]...)
	for i := range len(f.payload) {
		b = append(b, f.payload[i]^key[i%4])
	}
	return b
}

// says sends frames, at most chop bytes at a time. The other side may have heard enough before it is done.
func (x *tester) says(chop int, frames ...rawFrame) {
	var b []byte
	for _, f := range frames {
		b = append(b, x.encode(f)...)
	}
	for len(b) > 0 {
		n := len(b)
		if chop > 0 {
			n = min(n, chop)
		}
		if _, err := x.conn.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

// hears reads the next frame.
func (x *tester) hears() (first byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(x.in, head[:]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1] & 0x7f)
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(x.in, b[:])
		if n = uint64(binary.BigEndian.Uint16(b[:])); n < 126 {
			return 0, "", fmt.Errorf("a length of %d in two bytes", n)
		}
	case 127:
		var b [8]byte
		_, err = io.ReadFull(x.in, b[:])
		if n = binary.BigEndian.Uint64(b[:]); n < 1<<16 {
			return 0, "", fmt.Errorf("a length of %d in eight bytes", n)
		}
	}
	if masked := head[1]&0x80 != 0; masked == x.client {
		return 0, "", fmt.Errorf("masked: %v", masked)
	}
	var key [4]byte
	if !x.client {
		_, err = io.ReadFull(x.in, key[:])
	}
	p := make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(x.in, p)
	}
	for i := range p {
		p[i] ^= key[i%4]
	}
	return head[0], string(p), err
}

// hearsMessage reads the next message or control frame, "text:…", "binary:…", "pong:…" or "close:" and its code.
// compressed says whether its first frame has RSV1.
func (x *tester) hearsMessage() (said string, compressed bool, err error) {
	for {
		first, payload, err := x.hears()
		if err != nil {
			return "", false, err
		}
		switch op := first & 0x0f; {
		case op == pong && first&0xf0 == fin:
			return "pong:" + payload, false, nil
		case op == closing && first&0xf0 == fin:
			if len(payload) < 2 {
				return fmt.Sprint("close:", CodeNone), false, nil
			}
			return fmt.Sprint("close:", binary.BigEndian.Uint16([]byte(payload))), false, nil
		case first&0x30 != 0, x.kind == 0 && op != textOp && op != binaryOp, x.kind != 0 && first&0x4f != cont:
			return "", false, fmt.Errorf("a frame that begins with %#x", first)
		case x.kind == 0:
			x.kind, x.compressed = op, first&0x40 != 0
		}
		x.whole.WriteString(payload)
		if first&fin != 0 {
			said = kindName(x.kind) + x.whole.String()
			x.kind = 0
			x.whole.Reset()
			return said, x.compressed, nil
		}
	}
}

// plays plays a case, and returns what is wrong with the echo.
func (x *tester) plays(c conformanceCase, strict bool) error {
	said := make(chan bool)
	go func() {
		defer close(said)
		x.says(c.chop, c.frames...)
	}()
	defer func() {
		x.conn.Close()
		<-said
	}()
	for _, want := range c.want {
		got, compressed, err := x.hearsMessage()
		if !strict && c.code != 0 && (got == fmt.Sprint("close:", c.code) || err != nil) {
			return nil // it need not answer before it closes
		}
		if got != want || compressed || err != nil {
			return fmt.Errorf("heard %.100q (%d bytes), %v; want %.100q (%d bytes)", got, len(got), err, want, len(want))
		}
	}
	code := c.code
	if code == 0 {
		<-said
		x.says(0, rawFrame{fin | closing, "\x03\xe8"})
		code = CodeNormal
	}
	got, _, err := x.hearsMessage()
	if !strict && c.code != 0 && err != nil {
		return nil // it may also just go
	}
	if want := fmt.Sprint("close:", code); got != want || err != nil {
		return fmt.Errorf("heard %.100q, %v; want %s", got, err, want)
	}
	if !x.client {
		x.conn.(*net.TCPConn).CloseWrite() // the server ends TCP first (section 7.1.1)
	}
	if _, err := x.in.ReadByte(); strict && err != io.EOF || !strict && err == nil {
		return fmt.Errorf("after its Close frame: %v", err)
	}
	return nil
}

func TestConformanceOfAServer(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		for name, h := range map[string]Handler{"messages": echo, "parts": &partsEcho{}} {
			t.Run(name, func(t *testing.T) {
				address := serve(t, &Upgrader{Handler: h}, &switchboard.Server{Engine: engine})
				playAll(t, true, func() *tester { return asClient(t, address, "") })
			})
		}
	})
}

func TestConformanceOfAClient(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		s := &switchboard.Server{Engine: engine, Logger: quiet}
		t.Cleanup(func() { s.Close() })
		playAll(t, true, func() *tester { return clientsTester(t, &Dialer{Server: s}, nil) })
	})
}

// clientsTester has an echo of d's connect to a tester.
func clientsTester(t testing.TB, d *Dialer, accept func(offer string) string) *tester {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	failed := make(chan error, 1)
	go func() {
		_, err := d.Dial(context.Background(), "ws://"+l.Addr().String()+"/", echo)
		failed <- err
	}()
	x := asServer(t, l, accept)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return x
}

// The cases themselves must be right: what others do, who pass the Autobahn test suite, is the same.
func TestConformanceOfOtherServers(t *testing.T) {
	for name, command := range map[string]func() *exec.Cmd{
		"npm ws": func() *exec.Cmd {
			return exec.Command(node(t), "-e", `const s = new (require("ws").WebSocketServer)({port: 0, host: "127.0.0.1"});
s.on("connection", (c) => { c.on("message", (m, b) => c.send(m, {binary: b})); c.on("error", () => {}); });
s.on("listening", () => console.log(s.address().port));`)
		},
		"python websockets": func() *exec.Cmd {
			return exec.Command(python(t), "-c", `
import asyncio, logging, websockets
logging.disable(logging.CRITICAL)
async def echo(ws, *path):
    async for m in ws:
        await ws.send(m)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command()
			at := start(t, cmd.Args[0], cmd.Args[1:]...)
			address := strings.TrimSuffix(strings.TrimPrefix(at, "ws://"), "/")
			playAll(t, false, func() *tester { return asClient(t, address, "") })
		})
	}
}

func playAll(t *testing.T, strict bool, open func() *tester) {
	cases := conformanceCases()
	for _, c := range cases {
		if err := open().plays(c, strict); err != nil {
			t.Errorf("case %s: %v", c.id, err)
		}
	}
	t.Logf("%d cases", len(cases))
}

// A partsEcho is a Receiver that echoes parts as they come.
type partsEcho struct{ MessageFunc }

func (*partsEcho) Part(c *Conn, kind Kind, p []byte, last bool) error {
	return c.WritePart(kind, p, last)
}

// Sections 9 and 10: large messages, of any number of fragments, in pieces of any size.
func TestConformanceOfLargeMessages(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		options := Options{MaxMessage: 16 << 20}
		address := serve(t, &Upgrader{Handler: echo, Options: options}, roomy(engine))
		s := roomy(engine)
		t.Cleanup(func() { s.Close() })
		most := 16 << 20
		if raceEnabled {
			most = 256 << 10
		}
		for side, x := range map[string]*tester{
			"server": asClient(t, address, ""), "client": clientsTester(t, &Dialer{Server: s, Options: options}, nil),
		} {
			for _, kind := range []byte{textOp, binaryOp} {
				message := func(size int) string { return strings.Repeat("0123456789abcdef", min(size, most)/16) }
				for _, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20} { // 9.1 and 9.2
					x.echoes(t, side, kind, message(size), most, 0)
				}
				for fragment := 64; fragment <= 4<<20; fragment *= 4 { // 9.3 and 9.4
					x.echoes(t, side, kind, message(4<<20), fragment, 0)
				}
				for chop := int(kind) * 64; chop <= 2048; chop *= 4 { // 9.5 and 9.6: the texts take some, the bytes the others
					x.echoes(t, side, kind, message(1<<20), most, chop)
				}
				for size := range 300 { // 9.7 and 9.8
					x.echoes(t, side, kind, strings.Repeat("x", size), size+1, 0)
				}
			}
			x.echoes(t, side, textOp, strings.Repeat("*", 64<<10), 1300, 0) // 10.1
		}
	})
}

// echoes sends a message in fragments, and wants it back.
func (x *tester) echoes(t *testing.T, side string, kind byte, said string, fragment, chop int) {
	t.Helper()
	x.conn.SetDeadline(time.Now().Add(3 * patience))
	go x.says(chop, fragments(kind, said, fragment)...)
	if got, _, err := x.hearsMessage(); err != nil || got != kindName(kind)+said {
		t.Fatalf("%s: %d bytes in fragments of %d, pieces of %d: heard %d bytes, %v", side, len(said), fragment, chop, len(got), err)
	}
}

func fragments(kind byte, said string, size int) (frames []rawFrame) {
	for len(said) > size {
		frames, said, kind = append(frames, rawFrame{kind, said[:size]}), said[size:], cont
	}
	return append(frames, rawFrame{fin | kind, said})
}
