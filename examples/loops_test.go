package examples_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEchoOnTheLoopsAnswersNc(t *testing.T) {
	server := start(t, example("echo"), "-listen", "127.0.0.1:0")
	host, port, _ := net.SplitHostPort(server.address)
	out, errs, code := run(t, "hello, loop\n", peer(t, "nc"), "-N", host, port)
	if out != "hello, loop\n" || code != 0 {
		t.Errorf("nc heard %q, %s, and ended with %d", out, errs, code)
	}
}

func TestChatPassesLinesOn(t *testing.T) {
	server := start(t, example("chat"), "-listen", "127.0.0.1:0")
	enter := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", server.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		return c, bufio.NewReader(c)
	}
	hears := func(r *bufio.Reader, want string) {
		t.Helper()
		if line, err := r.ReadString('\n'); err != nil || line != want {
			t.Fatalf("heard %q, %v; want %q", line, err, want)
		}
	}
	alice, toAlice := enter()
	bob, toBob := enter()
	hears(toAlice, "* "+bob.LocalAddr().String()+" is here\n")
	alice.Write([]byte("hello\n"))
	hears(toBob, alice.LocalAddr().String()+": hello\n")
	bob.Close()
	hears(toAlice, "* "+bob.LocalAddr().String()+" has left\n")
}

func TestBlockingCodeOnTheLoopsAnswersCurl(t *testing.T) {
	server := start(t, example("blocking"), "-listen", "127.0.0.1:0")
	url := "http://" + server.address
	out, errs, code := run(t, "", peer(t, "curl"), "-sS", url+"/first", url+"/second", "-d", "body", url+"/third")
	if out != "POST /first\nPOST /second\nPOST /third\n" || code != 0 {
		t.Errorf("curl heard %q, %s, and ended with %d", out, errs, code)
	}
	if out, _, _ := run(t, "", peer(t, "curl"), "-sS", "-v", url+"/a", url+"/b"); strings.Count(out, "GET") != 2 {
		t.Errorf("curl heard %q", out)
	}
}

func TestEchoOverTLSAnswersOpenssl(t *testing.T) {
	openssl := peer(t, "openssl")
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	say(t, "", openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
		"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
	server := start(t, example("tlsecho"), "-listen", "127.0.0.1:0", "-cert", cert, "-key", key)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		client := exec.Command(openssl, "s_client", "-quiet", version, "-CAfile", cert, "-verify_return_error",
			"-verify_hostname", "localhost", "-connect", server.address)
		input, err := client.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		output, err := client.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		stuck := time.AfterFunc(patience, func() { client.Process.Kill() })
		io.WriteString(input, "hello, loop\n")
		line, err := bufio.NewReader(output).ReadString('\n')
		client.Process.Kill()
		client.Wait()
		if stuck.Stop(); line != "hello, loop\n" {
			t.Errorf("%s: openssl heard %q, %v", version, line, err)
		}
	}
}

func TestEchoOverTLSMakesUpACertificate(t *testing.T) {
	server := start(t, example("tlsecho"), "-listen", "127.0.0.1:0")
	out := say(t, "", peer(t, "openssl"), "s_client", "-connect", server.address)
	if !strings.Contains(out, "self-signed certificate") {
		t.Errorf("openssl heard %s", out)
	}
}

func TestEchoOverWebSocketAnswersPython(t *testing.T) {
	server := start(t, example("websocketecho"), "-listen", "127.0.0.1:0", "-deflate")
	python := "/usr/bin/python3" // for which the system's packages are
	if exec.Command(python, "-c", "import websockets").Run() != nil {
		python = peer(t, "python3")
	}
	if exec.Command(python, "-c", "import websockets").Run() != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 has no package websockets")
		}
		t.Skip("python3 has no package websockets")
	}
	out := say(t, "", python, "-c", `
import asyncio, sys, websockets
async def main():
    async with websockets.connect("ws://" + sys.argv[1]) as ws:
        await ws.send("hello, loop")
        print(await ws.recv())
asyncio.run(main())`, server.address)
	if out != "hello, loop\n" {
		t.Errorf("python heard %q", out)
	}
}

func TestWebhelloAnswersCurl(t *testing.T) {
	server := start(t, example("webhello"), "-listen", "127.0.0.1:0")
	url := "http://" + server.address + "/"
	out, errs, code := run(t, "", peer(t, "curl"), "-sS", url, url+"any")
	if out != "Hello, world!\nHello, world!\n" || code != 0 {
		t.Errorf("curl heard %q, %s, and ended with %d", out, errs, code)
	}
}

func TestRoomsOfWebSocketsAndLines(t *testing.T) {
	cmd := exec.Command(example("rooms"), "-listen", "127.0.0.1:0", "-lines", "127.0.0.1:0")
	server, _ := startCommand(t, cmd)
	var web, lines string
	for web == "" || lines == "" {
		line := server.waitFor(t, " ")
		if at, ok := strings.CutPrefix(line, "listening on "); ok {
			web = at
		} else if at, ok := strings.CutPrefix(line, "talk in lines at "); ok {
			lines = at
		}
	}
	c, err := net.Dial("tcp", lines)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "first\n")
	script := `
import asyncio, sys, websockets
async def main(url):
    async with websockets.connect(url + "/lobby?after=nowhere-7") as ws:
        hello = await ws.recv()
        assert hello.startswith("* room lobby "), hello
        while "first" not in await ws.recv(): pass
        await ws.send("second")
        got = await ws.recv()
        assert got.startswith("2 ") and got.endswith(": second"), got
        last = hello.split()[3].split("-")[0] + "-1"
    async with websockets.connect(url + "/lobby?after=" + last) as ws:
        await ws.recv()
        got = await ws.recv()
        assert got.startswith("2 "), got
asyncio.run(asyncio.wait_for(main(sys.argv[1]), 60))
print("ok")
`
	if out, errs, code := run(t, "", peer(t, "/usr/bin/python3"), "-c", script, "ws://"+web); out != "ok\n" || code != 0 {
		t.Errorf("python: %q, %s", out, errs)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasSuffix(line, ": second\n") {
		t.Errorf("heard %q, %v", line, err)
	}
}
