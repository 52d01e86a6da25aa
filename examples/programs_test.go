package examples_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nc sends input to a server, ends its output and returns what it hears.
func nc(t *testing.T, s *server, input string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.address)
	return say(t, input, peer(t, "nc"), "-N", host, port)
}

func TestJSONLinesAnswersOutOfOrderAndEveryRequest(t *testing.T) {
	s := start(t, example("jsonlines"), "-listen", "127.0.0.1:0")
	const slow, fast = `{"id":1,"ms":400}` + "\n", `{"id":2,"ms":1}` + "\n"
	if out, want := nc(t, s, slow+fast), "{\"id\":2}\n{\"id\":1}\n"; out != want {
		t.Errorf("nc heard %q, want %q", out, want)
	}
	if out := nc(t, s, "no JSON\n"); !strings.Contains(out, `"error":`) {
		t.Errorf("nc heard %q", out)
	}
	var many strings.Builder
	for i := range 900 {
		fmt.Fprintf(&many, "{\"id\":%d,\"ms\":%d}\n", i, i%50)
	}
	if out := nc(t, s, many.String()); strings.Count(out, "\n") != 900 || strings.Contains(out, "error") {
		t.Errorf("%d of 900 answers: %.200q", strings.Count(out, "\n"), out)
	}
}

// A shutdown waits for the answers that are still to come.
func TestJSONLinesAnswersBeforeItEnds(t *testing.T) {
	cmd := exec.Command(example("jsonlines"), "-listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	line, _ := bufio.NewReader(out).ReadString('\n')
	c, err := net.Dial("tcp", strings.TrimSpace(strings.TrimPrefix(line, "listening on ")))
	if err != nil {
		cmd.Process.Kill()
		t.Fatal(line, err)
	}
	defer c.Close()
	io.WriteString(c, `{"id":2,"ms":1}`+"\n"+`{"id":1,"ms":1000}`+"\n")
	r := bufio.NewReader(c)
	if first, err := r.ReadString('\n'); first != "{\"id\":2}\n" {
		t.Errorf("heard %q, %v", first, err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if second, err := io.ReadAll(r); string(second) != "{\"id\":1}\n" || err != nil {
		t.Errorf("heard %q, %v", second, err)
	}
	c.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestRedisServesRedisCli(t *testing.T) {
	s := start(t, example("redis"), "-listen", "127.0.0.1:0")
	host, port, _ := net.SplitHostPort(s.address)
	binary := "with a zero \x00, a \r\n and \xff"
	for _, c := range []struct {
		want string
		args []string
	}{
		{"PONG\n", []string{"ping"}},
		{"OK\n", []string{"set", "greeting", "hello, redis"}},
		{"hello, redis\n", []string{"get", "greeting"}},
		{"1\n", []string{"incr", "counter"}},
		{"2\n", []string{"incr", "counter"}},
		{"OK\n", []string{"set", "below", "-5"}},
		{"-4\n", []string{"incr", "below"}},
		{"1\n", []string{"del", "greeting"}},
		{"\n", []string{"get", "greeting"}},
		{"OK\n", []string{"set", "large", strings.Repeat("x", 100_000)}},
		{strings.Repeat("x", 100_000) + "\n", []string{"get", "large"}},
	} {
		if out := say(t, "", peer(t, "redis-cli"), append([]string{"-h", host, "-p", port}, c.args...)...); out != c.want {
			t.Errorf("%.100q: redis-cli heard %.200q, want %.100q", c.args, out, c.want)
		}
	}
	say(t, binary, peer(t, "redis-cli"), "-h", host, "-p", port, "-x", "set", "binary")
	if out := say(t, "", peer(t, "redis-cli"), "-h", host, "-p", port, "get", "binary"); out != binary+"\n" {
		t.Errorf("redis-cli heard %q", out)
	}
	if out, _, _ := run(t, "", peer(t, "redis-cli"), "-h", host, "-p", port, "nonsense"); !strings.Contains(out, "ERR unknown command") {
		t.Errorf("redis-cli heard %q", out)
	}
	if out := nc(t, s, "PING\r\n*1\r\n$4\r\nPING\r\n"); out != "+PONG\r\n+PONG\r\n" {
		t.Errorf("nc heard %q", out)
	}
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "*2\r\n$not a number\r\n")
	if _, err := io.ReadAll(c); err == nil {
		t.Error("what is no command ended like success")
	}
}

func TestRedisServesRedisBenchmark(t *testing.T) {
	s := start(t, example("redis"), "-listen", "127.0.0.1:0")
	host, port, _ := net.SplitHostPort(s.address)
	for _, ahead := range []string{"1", "16"} {
		out := say(t, "", peer(t, "redis-benchmark"), "-h", host, "-p", port, "-t", "ping,set,get,incr", "-c", "20", "-n", "2000",
			"-P", ahead, "-q", "--csv")
		for _, test := range []string{"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"} {
			if !strings.Contains(out, `"`+test+`"`) {
				t.Errorf("-P %s: no result of %s: %s", ahead, test, out)
			}
		}
	}
	// Each of the two runs has counted one key up 2,000 times.
	if out := say(t, "", peer(t, "redis-cli"), "-h", host, "-p", port, "get", "counter:__rand_int__"); out != "4000\n" {
		t.Errorf("the counter is %q", out)
	}
}

// A lineClient is a connection whose lines are waited for.
type lineClient struct {
	net.Conn
	*bufio.Reader
	t *testing.T
}

func lineTo(t *testing.T, s *server) lineClient {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return lineClient{c, bufio.NewReader(c), t}
}

func (c lineClient) hears(want string) {
	c.t.Helper()
	if line, err := c.ReadString('\n'); err != nil || line != want+"\n" {
		c.t.Fatalf("heard %q, %v; want %q", line, err, want)
	}
}

func (c lineClient) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func TestPubsubPassesOnWhatIsPublished(t *testing.T) {
	s := start(t, example("pubsub"), "-listen", "127.0.0.1:0")
	one, both := lineTo(t, s), lineTo(t, s)
	io.WriteString(one, "sub news\n")
	one.hears("ok")
	io.WriteString(both, "sub news\nsub weather\n")
	both.hears("ok")
	both.hears("ok")
	if out := nc(t, s, "pub news hello, all\npub weather rain\npub nothing heard\n"); out != "sent to 2\nsent to 1\nsent to 0\n" {
		t.Errorf("nc heard %q", out)
	}
	one.hears("news: hello, all")
	both.hears("news: hello, all")
	both.hears("weather: rain")
	io.WriteString(both, "unsub news\n")
	both.hears("ok")
	one.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // until the server knows that one is gone
		if out := nc(t, s, "pub news again\n"); out == "sent to 0\n" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("nc heard %q", out)
		}
	}
	if out := nc(t, s, "sub\nwhat is this\n"); strings.Count(out, "error") != 2 {
		t.Errorf("nc heard %q", out)
	}
}

// A subscriber that does not read is sent away with a reset, and the others miss nothing.
func TestPubsubSendsASlowSubscriberAway(t *testing.T) {
	s := start(t, example("pubsub"), "-listen", "127.0.0.1:0")
	slow, good, speaker := lineTo(t, s), lineTo(t, s), lineTo(t, s)
	io.WriteString(slow, "sub news\n")
	slow.hears("ok")
	io.WriteString(good, "sub news\n")
	good.hears("ok")
	text := strings.Repeat("x", 4000)
	for n := 0; ; n++ {
		io.WriteString(speaker, "pub news "+text+"\n")
		answer, err := speaker.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		good.hears("news: " + text)
		if answer == "sent to 1\n" {
			break
		}
		if n > 10_000 {
			t.Fatal("40 MB are in the queue of one that does not read")
		}
	}
	if _, err := io.Copy(io.Discard, slow); err == nil {
		t.Error("it ended like success")
	}
}

// Two servers with certificates of their own behind one proxy, and clients that verify whom they reach.
func TestSNIProxyJoinsByName(t *testing.T) {
	openssl, dir := peer(t, "openssl"), t.TempDir()
	var args []string
	for _, name := range []string{"one.example", "other.example"} {
		cert, key := filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
		say(t, "", openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
			"-out", cert, "-subj", "/CN="+name, "-addext", "subjectAltName=DNS:"+name)
		target := start(t, example("tlsecho"), "-listen", "127.0.0.1:0", "-cert", cert, "-key", key)
		args = append(args, name+"="+target.address)
	}
	s := start(t, example("sniproxy"), append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	for _, name := range []string{"one.example", "other.example"} {
		client := exec.Command(openssl, "s_client", "-quiet", "-CAfile", filepath.Join(dir, name+".pem"), "-verify_return_error",
			"-verify_hostname", name, "-servername", name, "-connect", s.address)
		if heard := firstLine(t, client, "hello, "+name+"\n"); heard != "hello, "+name+"\n" {
			t.Errorf("openssl heard %q", heard)
		}
	}
	_, errs, code := run(t, "", peer(t, "curl"), "-sSv", "--connect-to", "nobody.example:443:"+s.address, "https://nobody.example/")
	if code == 0 || !strings.Contains(errs, "unrecognized name") {
		t.Errorf("curl ended with %d: %s", code, errs)
	}
	if _, err := io.ReadAll(func() io.Reader {
		c := lineTo(t, s)
		io.WriteString(c, "this is no TLS\n")
		return c
	}()); err == nil {
		t.Error("what is no TLS ended like success")
	}
}

// firstLine runs a program, sends input to it, and returns the first line that it prints.
func firstLine(t *testing.T, cmd *exec.Cmd, input string) string {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	io.WriteString(in, input)
	line, _ := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	return line
}

// echoServer is an echo server of Python's that prints its address.
const echoServer = `
import asyncio, sys
async def echo(r, w):
    while data := await r.read(4096):
        w.write(data)
    w.close()
async def main():
    s = await asyncio.start_server(echo, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    print("listening on %s:%d" % s.sockets[0].getsockname(), flush=True)
    await s.serve_forever()
asyncio.run(main())`

// Five thousand links to a server of our own, and some to one of Python's that goes away and comes back.
func TestLinksHoldAndComeBack(t *testing.T) {
	if limit := descriptors(t); limit > 6000 {
		s := start(t, example("echo"), "-listen", "127.0.0.1:0")
		links := follow(t, example("links"), "-to", s.address, "-n", "5000")
		links.waitFor(t, "5000 up, 5000 answers, 0 lost")
	}
	python := peer(t, "python3")
	first, end := startAt(t, python, "0")
	links := follow(t, example("links"), "-to", first.address, "-n", "200", "-every", "100ms")
	links.waitFor(t, "200 up, ")
	end()
	links.waitFor(t, "0 up, ")
	_, end = startAt(t, python, first.port())
	defer end()
	if line := links.waitFor(t, "200 up, "); !strings.HasSuffix(line, " 200 lost") {
		t.Errorf("it said %q", line)
	}
}

func startAt(t *testing.T, python, port string) (s *server, end func()) {
	t.Helper()
	s, cmd := startCommand(t, exec.Command(python, "-c", echoServer, port))
	_, address, _ := strings.Cut(s.waitFor(t, "listening on "), "listening on ")
	s.address = address
	return s, func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// follow starts a program that prints what it does until the test ends.
func follow(t *testing.T, path string, args ...string) *server {
	t.Helper()
	s, _ := startCommand(t, exec.Command(path, args...))
	return s
}

// descriptors is how many descriptors a program of Go may have: it raises its limit to the hard one.
func descriptors(t *testing.T) int {
	out, err := exec.Command("sh", "-c", "ulimit -Hn").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if fmt.Sscan(string(out), &n); n == 0 {
		n = 1 << 20 // "unlimited"
	}
	return n
}

// Each program was first written without the library's newer calls. They must have made it shorter.
func TestTheProgramsAreShort(t *testing.T) {
	for name, most := range map[string]int{"chat": 108, "jsonlines": 83, "redis": 132, "blocking": 56, "pubsub": 117,
		"sniproxy": 79, "links": 77} {
		source, err := os.ReadFile(filepath.Join(name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), "\n"); n >= most {
			t.Errorf("%s has %d lines, and should have fewer than %d", name, n, most)
		}
	}
}
