package examples_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

const loopback = "127.0.0.1:0"

func TestEchoServerAndItsClient(t *testing.T) {
	s := start(t, example("echoserver"), "-listen", loopback)
	if got := say(t, "", example("echoclient"), "-to", s.address, "hello", "world"); got != "hello\nworld\n" {
		t.Errorf("the client printed %q", got)
	}
	if got := say(t, "from netcat", peer(t, "nc"), "-N", "127.0.0.1", s.port()); got != "from netcat" {
		t.Errorf("nc got %q", got)
	}
}

func TestEchoServerSpeaksIPv6AndUnix(t *testing.T) {
	s := start(t, example("echoserver"), "-listen", "[::1]:0")
	if got := say(t, "six", peer(t, "nc"), "-N", "::1", s.port()); got != "six" {
		t.Errorf("nc got %q", got)
	}
	path := t.TempDir() + "/echo.sock"
	start(t, example("echoserver"), "-listen", path)
	if got := say(t, "a file", peer(t, "nc"), "-N", "-U", path); got != "a file" {
		t.Errorf("nc got %q", got)
	}
}

func TestEchoServerServesOneClientAtATime(t *testing.T) {
	s := start(t, example("echoserver"), "-listen", loopback)
	first, second := dial(t, s), dial(t, s)
	echo(t, first, "one")
	if _, err := second.Write([]byte("two")); err != nil {
		t.Fatal(err)
	}
	second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := second.Read(make([]byte, 8)); err == nil {
		t.Fatalf("the second client got %d bytes while the first was served", n)
	}
	echo(t, first, "one again")
	first.Close()
	second.SetReadDeadline(time.Now().Add(patience))
	want(t, second, "two")
}

func TestEchoServerSurvivesAReset(t *testing.T) {
	s := start(t, example("echoserver"), "-listen", loopback)
	c := dial(t, s)
	echo(t, c, "hello")
	c.(*net.TCPConn).SetLinger(0) // so that the close resets
	c.Close()
	echo(t, dial(t, s), "still there")
}

// The servers that Python's documentation would have people write.
const pythonEchoServer = `
import socket
with socket.create_server(("127.0.0.1", 0)) as s:
    print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
    while True:
        c, _ = s.accept()
        with c:
            while data := c.recv(3):  # in pieces of 3
                c.sendall(data)
`

const pythonHangsUp = `
import socket
with socket.create_server(("127.0.0.1", 0)) as s:
    print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
    c, _ = s.accept()
    c.recv(100)
    c.sendall(b"hel")
    c.close()
    s.accept()
`

func TestEchoClientPutsAReplyInPiecesTogether(t *testing.T) {
	s := start(t, peer(t, "python3"), "-c", pythonEchoServer)
	if got := say(t, "", example("echoclient"), "-to", s.address, "hello, world"); got != "hello, world\n" {
		t.Errorf("the client printed %q", got)
	}
}

func TestEchoClientTellsOfAServerThatHangsUp(t *testing.T) {
	s := start(t, peer(t, "python3"), "-c", pythonHangsUp)
	_, stderr, code := run(t, "", example("echoclient"), "-to", s.address, "hello")
	if code == 0 || stderr != "echoclient: the server hung up after 3 bytes of 5\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestHalfCloseEndsARequest(t *testing.T) {
	s := start(t, example("httplike"), "-listen", loopback)
	url := "http://" + s.address + "/hello"
	if got := say(t, "", peer(t, "curl"), "-s", "-S", url); !strings.HasPrefix(got, "You asked:\nGET /hello HTTP/1.1\n") {
		t.Errorf("curl got %q", got)
	}
	if got := say(t, "", peer(t, "curl"), "-s", "-S", "-0", "-i", url); !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") {
		t.Errorf("curl -i got %q", got)
	}
	got := say(t, "", example("httplike"), "-to", s.address, "/own")
	if !strings.HasSuffix(got, "\r\n\r\nYou asked:\nGET /own HTTP/1.0\n") {
		t.Errorf("the client got %q", got)
	}
	// No empty line, not even the end of a line: only the half-close says that this is all.
	got = say(t, "GET /netcat HTTP/1.0", peer(t, "nc"), "-N", "127.0.0.1", s.port())
	if !strings.HasSuffix(got, "\r\n\r\nYou asked:\nGET /netcat HTTP/1.0\n") {
		t.Errorf("nc got %q", got)
	}
	got = say(t, "", peer(t, "nc"), "-N", "127.0.0.1", s.port())
	if !strings.HasPrefix(got, "HTTP/1.0 400 Bad Request\r\n") {
		t.Errorf("an empty request got %q", got)
	}
}

func TestRequestsWithoutEndAreRefused(t *testing.T) {
	s := start(t, example("httplike"), "-listen", loopback)
	for _, request := range []string{strings.Repeat("x", 1<<20), strings.Repeat("x\n", 1000)} {
		c := dial(t, s)
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte(request)) // may fail half-way: the server hangs up
		if n, err := c.Read(make([]byte, 100)); err == nil {
			t.Errorf("a request of %d bytes got a reply of %d bytes", len(request), n)
		}
	}
	if got := say(t, "", example("httplike"), "-to", s.address, "/"); !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") {
		t.Errorf("after them: %q", got)
	}
}

const pythonWebServer = `
import http.server
s = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print("listening on 127.0.0.1:%d" % s.server_port, flush=True)
s.serve_forever()
`

func TestHalfClosingClientAsksARealWebServer(t *testing.T) {
	s := start(t, peer(t, "python3"), "-c", pythonWebServer)
	got := say(t, "", example("httplike"), "-to", s.address, "/README.md")
	if !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") || !strings.Contains(got, "\n# Examples\n") {
		t.Errorf("the client got %q", got)
	}
}

const pythonAsksForSums = `
import socket, struct, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s, s.makefile("rb") as f:
    asked = [(300, -1), (2**31 - 1, 2**31 - 1), (-2**31, -2**31)]
    for a, b in asked:
        for byte in struct.pack("!ii", a, b):
            s.sendall(bytes([byte]))
    print([struct.unpack("!q", f.read(8))[0] for _ in asked])
`

const pythonAdds = `
import socket, struct
with socket.create_server(("127.0.0.1", 0)) as s:
    print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
    c, _ = s.accept()
    with c, c.makefile("rb") as f:
        c.sendall(struct.pack("!q", sum(struct.unpack("!ii", f.read(8)))))
    s.accept()
`

func TestNumbersMeanTheSameInPython(t *testing.T) {
	s := start(t, example("byteorder"), "-listen", loopback)
	s.waitFor(t, "port "+s.port()+": ")
	got := say(t, "", peer(t, "python3"), "-c", pythonAsksForSums, s.port())
	if got != "[299, 4294967294, -4294967296]\n" {
		t.Errorf("python got %q", got)
	}
	const want = "sent     00 00 01 2c ff ff ff ff\nreceived 00 00 00 00 00 00 01 2b\n300 + -1 = 299\n"
	if got := say(t, "", example("byteorder"), "-to", s.address, "300", "-1"); got != want {
		t.Errorf("the client printed %q, want %q", got, want)
	}
	s = start(t, peer(t, "python3"), "-c", pythonAdds)
	if got := say(t, "", example("byteorder"), "-to", s.address, "300", "-1"); got != want {
		t.Errorf("from python, the client printed %q, want %q", got, want)
	}
}

func TestHtonsAndBigEndianComeToTheSame(t *testing.T) {
	s := start(t, example("byteorder"), "-listen", loopback)
	line := s.waitFor(t, "port "+s.port()+": ")
	m := regexp.MustCompile(`, (.. ..) after Htons, (.. ..) from binary.BigEndian`).FindStringSubmatch(line)
	if m == nil || m[1] != m[2] {
		t.Errorf("the server said %q", line)
	}
}

func TestParentAndChildTalk(t *testing.T) {
	got := say(t, "", example("socketpair"), "hello", "from your parent")
	if !regexp.MustCompile(`^HELLO, says process \d+\nFROM YOUR PARENT, says process \d+\n$`).MatchString(got) {
		t.Errorf("the parent printed %q", got)
	}
}

func TestDatagramsComeBack(t *testing.T) {
	s := start(t, example("datagramserver"), "-listen", loopback)
	if got := say(t, "", example("datagramclient"), "-to", s.address, "hello", "world"); got != "hello world\n" {
		t.Errorf("the client printed %q", got)
	}
	s.waitFor(t, "11 bytes from 127.0.0.1:")
	if got := say(t, "netcat", peer(t, "nc"), "-u", "-W", "1", "127.0.0.1", s.port()); got != "netcat" {
		t.Errorf("nc got %q", got)
	}
}

const pythonLosesTheFirst = `
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(("127.0.0.1", 0))
    print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
    s.recvfrom(100)
    while True:
        data, peer = s.recvfrom(100)
        s.sendto(data.upper(), peer)
`

func TestDatagramClientTriesAgain(t *testing.T) {
	s := start(t, peer(t, "python3"), "-c", pythonLosesTheFirst)
	got := say(t, "", example("datagramclient"), "-to", s.address, "-wait", "50ms", "-tries", "100", "hello")
	if got != "HELLO\n" {
		t.Errorf("the client printed %q", got)
	}
	silent, err := net.ListenPacket("udp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, stderr, code := run(t, "", example("datagramclient"), "-to", silent.LocalAddr().String(), "-wait", "10ms", "hello")
	if code == 0 || stderr != "datagramclient: no reply to 3 datagrams\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
}
