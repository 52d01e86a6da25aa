package examples_test

import (
	"bufio"
	"net"
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
