package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/internal/testshard"
)

func TestMain(m *testing.M) { os.Exit(testshard.Run(m)) }

const patience = 60 * time.Second // for what must come, on a machine that is busy with other things

const askLines = "Host: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\n"

var quiet = slog.New(slog.DiscardHandler)

// engines runs a test on the two best engines of this system: one of completion and one of readiness, where there are both.
func engines(t *testing.T, f func(t *testing.T, engine string)) {
	all := switchboard.Engines()
	for _, engine := range all[:min(2, len(all))] {
		t.Run(engine, func(t *testing.T) { f(t, engine) })
	}
}

// serve serves u's WebSockets until the test ends.
func serve(t testing.TB, u *Upgrader, s *switchboard.Server) (address string) {
	t.Helper()
	if s == nil {
		s = &switchboard.Server{}
	}
	s.Accept = u.Accept
	if s.Logger == nil {
		s.Logger = quiet
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// A raw is a client that says what it likes.
type raw struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	head *http.Response // the answer to its request
}

// dialRaw connects, and asks for a WebSocket with more lines in its header.
func dialRaw(t testing.TB, address string, more ...string) *raw {
	t.Helper()
	r := connect(t, address)
	r.write([]byte("GET / HTTP/1.1\r\n" + askLines + strings.Join(more, "") + "\r\n"))
	r.answered(101)
	return r
}

func connect(t testing.TB, address string) *raw {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &raw{t: t, conn: conn, in: bufio.NewReader(conn)}
}

func (r *raw) answered(status int) {
	r.t.Helper()
	answer, err := http.ReadResponse(r.in, &http.Request{Method: "GET"})
	if err != nil {
		r.t.Fatal(err)
	}
	if answer.StatusCode != status {
		body, _ := io.ReadAll(answer.Body)
		r.t.Fatalf("status %d, want %d: %s", answer.StatusCode, status, body)
	}
	r.head = answer
}

func (r *raw) write(p []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(p); err != nil {
		r.t.Fatal(err)
	}
}

// frame reads the next frame of the server.
func (r *raw) frame() (h header, payload string, err error) {
	var b []byte
	size := 0
	for size == 0 {
		c, err := r.in.ReadByte()
		if err != nil {
			return h, "", err
		}
		b = append(b, c)
		if h, size, err = parseHeader(b); err != nil {
			return h, "", err
		}
	}
	p := make([]byte, h.length)
	if _, err := io.ReadFull(r.in, p); err != nil {
		return h, "", err
	}
	if h.masked {
		return h, "", errors.New("the server masks")
	}
	return h, string(p), nil
}

// wants reads the next frame, which must be this one.
func (r *raw) wants(op opcode, payload string) {
	r.t.Helper()
	h, p, err := r.frame()
	if err != nil || h.op != op || p != payload || !h.fin {
		r.t.Fatalf("got opcode %d with %d bytes %.60q (%v), want opcode %d with %d bytes %.60q", h.op, len(p), p, err, op, len(payload), payload)
	}
}

// wantsClose reads the next frame, which must be a Close frame with a code, and then the end of the connection.
func (r *raw) wantsClose(code int) {
	r.t.Helper()
	h, p, err := r.frame()
	if err != nil || h.op != opClose {
		r.t.Fatalf("got opcode %d with %.60q (%v), want a close with code %d", h.op, p, err, code)
	}
	if got, _, err := parseClose([]byte(p)); err != nil || got != code {
		r.t.Fatalf("closed with %d (%v), want %d", got, err, code)
	}
	r.wantsEnd()
}

// wantsEnd makes sure that the connection ends in order, without another byte.
func (r *raw) wantsEnd() {
	r.t.Helper()
	if b, err := r.in.ReadByte(); err != io.EOF {
		r.t.Fatalf("got %#x, %v, want the end", b, err)
	}
}

// wantsReset makes sure that the connection is reset.
func (r *raw) wantsReset() {
	r.t.Helper()
	if _, err := io.Copy(io.Discard, r.in); !systest.Is(err, syscall.ECONNRESET) {
		r.t.Fatalf("ended with %v, want a reset", err)
	}
}

// A witness is a handler that writes down what it is told.
type witness struct {
	mu     sync.Mutex
	told   []string
	closed chan error
	opened chan *Conn
	do     func(c *Conn, kind Kind, p []byte) error
}

func newWitness(do func(c *Conn, kind Kind, p []byte) error) *witness {
	return &witness{closed: make(chan error, 1000), opened: make(chan *Conn, 1000), do: do}
}

func (w *witness) note(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, fmt.Sprintf(format, a...))
}

func (w *witness) Opened(c *Conn) error {
	w.opened <- c
	return nil
}

func (w *witness) Message(c *Conn, kind Kind, p []byte) error {
	w.note("%v:%.100s", kind, p)
	if w.do != nil {
		return w.do(c, kind, p)
	}
	return nil
}

func (w *witness) Closed(_ *Conn, err error) { w.closed <- err }

// end waits for Closed.
func (w *witness) end(t testing.TB) error {
	t.Helper()
	select {
	case err := <-w.closed:
		return err
	case <-time.After(patience):
		t.Fatal("Closed was not called")
	}
	return nil
}

// conn waits for Opened.
func (w *witness) conn(t testing.TB) *Conn {
	t.Helper()
	select {
	case c := <-w.opened:
		return c
	case err := <-w.closed:
		t.Fatalf("closed before it was open: %v", err)
	case <-time.After(patience):
		t.Fatal("Opened was not called")
	}
	return nil
}

// program returns the path of a peer program. Without it, the test is skipped, or fails where CI runs.
func program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil && runtime.GOOS == "windows" {
		return path
	}
	for _, dir := range append([]string{"/usr/bin", "/usr/local/bin"}, strings.Split(os.Getenv("PATH"), ":")...) {
		if info, err := os.Stat(dir + "/" + name); err == nil && info.Mode()&0o111 != 0 {
			return dir + "/" + name
		}
	}
	missing(t, name+" is not installed")
	return ""
}

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

var echo = MessageFunc((*Conn).Write)
