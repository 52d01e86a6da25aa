package websocket

import (
	"bufio"
	"context"
	_ "embed"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// run runs a program to its end, and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = peerEnvironment()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return string(out)
}

func peerEnvironment() []string { return append(os.Environ(), "NODE_PATH="+nodePath()) }

// nodePath is where packages of npm are: where the environment says, or Debian's.
func nodePath() string {
	return os.Getenv("NODE_PATH") + ":/usr/share/nodejs:/usr/local/lib/node_modules:/usr/lib/node_modules"
}

// start starts a server that prints its port, and returns its URL.
func start(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = peerEnvironment()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, bad := strconv.Atoi(strings.TrimSpace(line)); err != nil || bad != nil {
		t.Fatalf("%s %q says %q, %v", name, args, line, err)
	}
	return "ws://127.0.0.1:" + strings.TrimSpace(line) + "/"
}

// node and python return those programs, with the package that the tests need.
func node(t *testing.T) string {
	path := program(t, "node")
	cmd := exec.Command(path, "-e", "require('ws')")
	cmd.Env = peerEnvironment()
	if cmd.Run() != nil {
		missing(t, "node has no package ws (Debian's node-ws, or npm install ws and NODE_PATH)")
	}
	return path
}

func python(t *testing.T) string {
	path := program(t, "python3") // /usr/bin comes first: Debian's packages are for it
	if exec.Command(path, "-c", "import websockets").Run() != nil {
		missing(t, "python3 has no package websockets (Debian's python3-websockets)")
	}
	return path
}

var generous = Options{MaxMessage: 16 << 20, Subprotocols: []string{"chat"}}

func roomy(engine string) *switchboard.Server {
	return &switchboard.Server{Engine: engine, QueueLimit: 40 << 20, Logger: quiet}
}

// deflates are the ways in which this side may compress.
var deflates = map[string]*Deflate{"alone": {Threshold: -1}, "takeover": {Threshold: -1, ContextTakeover: true},
	"small": {Threshold: -1, ContextTakeover: true, WindowBits: 10, Level: 6}}

func TestClientsOfOtherLibraries(t *testing.T) {
	for peer, start := range map[string]func(t *testing.T) []string{
		"npm ws":            func(t *testing.T) []string { return []string{node(t), "testdata/ws_client.js"} },
		"python websockets": func(t *testing.T) []string { return []string{python(t), "testdata/websockets_client.py"} },
	} {
		t.Run(peer, func(t *testing.T) {
			command := start(t)
			for ours, d := range deflates {
				options := generous
				options.Deflate = d
				address := serve(t, &Upgrader{Handler: echo, Options: options}, roomy(""))
				for _, theirs := range []string{"none", "plain", "small", "alone"} {
					if got := run(t, command[0], command[1], "ws://"+address+"/", theirs); got != "ok\n" {
						t.Errorf("%s with %s: %q", ours, theirs, got)
					}
				}
			}
		})
	}
}

func TestServersOfOtherLibraries(t *testing.T) {
	for peer, command := range map[string]func(t *testing.T) []string{
		"npm ws":            func(t *testing.T) []string { return []string{node(t), "testdata/ws_server.js"} },
		"python websockets": func(t *testing.T) []string { return []string{python(t), "testdata/websockets_server.py"} },
	} {
		t.Run(peer, func(t *testing.T) {
			command := command(t)
			for _, theirs := range []string{"none", "plain", "takeover"} {
				at := start(t, command[0], command[1], theirs)
				for ours, d := range deflates {
					options := generous
					options.Deflate = d
					s := roomy("")
					t.Cleanup(func() { s.Close() })
					speakWith(t, &Dialer{Server: s, Options: options}, at, theirs+" with "+ours, theirs != "none")
				}
			}
		})
	}
}

// speakWith has a client go through everything that the echo servers of testdata can do.
func speakWith(t *testing.T, d *Dialer, at, name string, compressed bool) {
	got := make(chan string, 10)
	w := newWitness(func(c *Conn, kind Kind, p []byte) error {
		got <- kind.String() + ":" + string(p)
		return nil
	})
	c, err := d.Dial(t.Context(), at, w)
	if err != nil {
		t.Fatal(err)
	}
	w.conn(t)
	if c.Subprotocol() != "chat" || c.Compressed() != compressed {
		t.Errorf("%s: subprotocol %q, compressed %v", name, c.Subprotocol(), c.Compressed())
	}
	for range 2 {
		for _, m := range []string{"", "grüße €", string(said(126)), string(said(70_000)), string(said(3 << 20))} {
			for _, kind := range []Kind{Text, Binary} {
				if err := c.Write(kind, []byte(m)); err != nil {
					t.Fatal(err)
				}
				if s := receive(t, w, got); s != kind.String()+":"+m {
					t.Fatalf("%s: %d bytes came back, want %d", name, len(s), len(m))
				}
			}
		}
	}
	c.WritePart(Text, []byte("in "), false)
	c.WritePart(Text, []byte("parts"), true)
	if s := receive(t, w, got); s != "text:in parts" {
		t.Errorf("%s: %q", name, s)
	}
	c.Write(Text, []byte("ping me"))
	if s := receive(t, w, got); s != "text:pong you?" {
		t.Errorf("%s: %q", name, s)
	}
	c.Write(Text, []byte("close me"))
	if err, ok := w.end(t).(*CloseError); !ok || err.Code != 4002 || err.Reason != "as you wish" {
		t.Errorf("%s: closed with %v", name, err)
	}
}

func receive(t *testing.T, w *witness, got chan string) string {
	t.Helper()
	select {
	case s := <-got:
		return s
	case err := <-w.closed:
		t.Fatal("closed: ", err)
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return ""
}

//go:embed testdata/page.html
var page string

func TestABrowser(t *testing.T) {
	chromium := program(t, "chromium")
	s := roomy("")
	t.Cleanup(func() { s.Close() })
	options := generous
	options.Deflate = &Deflate{}
	u := &Upgrader{Server: s, Options: options, Handler: MessageFunc(func(c *Conn, kind Kind, p []byte) error {
		if code, ok := strings.CutPrefix(string(p), "close me with "); ok {
			n, _ := strconv.Atoi(code)
			return &CloseError{n, "reason"}
		}
		if string(p) == "abort" {
			c.Abort()
			return nil
		}
		return c.Write(kind, p)
	})}
	verdict := make(chan string, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			u.ServeHTTP(w, r)
		case r.URL.Path == "/":
			io.WriteString(w, page+`<script>new MutationObserver(() => fetch("/verdict", {method: "POST", body: document.title})).observe(document.querySelector("title"), {childList: true})</script>`)
		case r.URL.Path == "/verdict":
			body, _ := io.ReadAll(r.Body)
			select {
			case verdict <- string(body):
			default:
			}
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(web.Close)
	cmd := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--remote-debugging-port=0", web.URL+"/")
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		killGroup(cmd.Process.Pid)
		cmd.Wait()
	}()
	select {
	case v := <-verdict:
		if v != "ok" {
			t.Error(v)
		}
	case <-time.After(6 * patience):
		t.Error("the page did not come to its end")
	}
}

// curl speaks WebSocket in some builds, and in all of them HTTP enough for a handshake.
func TestCurl(t *testing.T) {
	curl := program(t, "curl")
	address := serve(t, &Upgrader{Handler: MessageFunc(func(c *Conn, kind Kind, p []byte) error { return nil })}, nil)
	out := run(t, curl, "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", "http://"+address+"/")
	if out != "426" {
		t.Errorf("a plain request: %s", out)
	}
	if !strings.Contains(run(t, curl, "--version"), " wss") {
		t.Log("this curl has no ws://")
		return
	}
	hello := serve(t, &Upgrader{Handler: greeter{}}, nil)
	if out := run(t, curl, "-sS", "--max-time", "20", "ws://"+hello+"/"); out != "hello, curl" {
		t.Errorf("ws://: %q", out)
	}
}

// A greeter says hello, and goodbye.
type greeter struct{ MessageFunc }

func (greeter) Opened(c *Conn) error {
	c.Write(Text, []byte("hello, curl"))
	return io.EOF
}
