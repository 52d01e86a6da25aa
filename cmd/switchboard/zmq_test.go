//go:build unix

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

// zmqPeer starts a program that speaks ZeroMQ by libzmq, and returns its output, line by line.
func zmqPeer(t *testing.T, args ...string) (endpoint string, lines *bufio.Scanner) {
	t.Helper()
	python := ""
	for _, path := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(path, "-c", "import zmq").Run() == nil {
			python = path
			break
		}
	}
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Python can import zmq: install python3-zmq")
		}
		t.Skip("no Python can import zmq: install python3-zmq")
	}
	cmd := exec.Command(python, append([]string{"testdata/zmq_peer.py"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines = bufio.NewScanner(out)
	return strings.TrimPrefix(nextLine(t, lines), "at "), lines
}

func nextLine(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the peer has ended: %v", lines.Err())
	}
	return lines.Text()
}

// device starts one of the devices and returns the endpoints of its two sides.
func device(t *testing.T, args ...string) (front, back string) {
	t.Helper()
	s := serve(t, append(args, "--listen=127.0.0.1:0", "--back=127.0.0.1:0")...)
	at := strings.TrimPrefix(s.await("listening on ", 2)["msg"].(string), "listening on ")
	return "tcp://" + s.addrs[0], "tcp://" + at
}

func TestForwarderPassesOnWhatIsSubscribedTo(t *testing.T) {
	front, back := device(t, "zmq-forwarder")
	zmqPeer(t, "pub", "connect", front, "a.topic", "text")
	zmqPeer(t, "pub", "connect", front, "b.topic", "text")
	_, lines := zmqPeer(t, "sub", "connect", back, "a.", "3")
	for range 3 {
		if got := nextLine(t, lines); got != "a.topic text" {
			t.Errorf("%q", got)
		}
	}
	// A subscriber goes on until a signal.
	dial := exec.Command(os.Args[0], "dial", "zmq+sub://"+strings.TrimPrefix(back, "tcp://")+"?topic=b")
	pipe, err := dial.StdoutPipe()
	if err == nil {
		err = dial.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	printed := bufio.NewScanner(pipe)
	for range 3 {
		if got := nextLine(t, printed); got != "b.topic\ttext" {
			t.Errorf("%q", got)
		}
	}
	dial.Process.Signal(os.Interrupt)
	for printed.Scan() {
	}
	if err := dial.Wait(); err != nil {
		t.Error(err)
	}
}

func TestQueueSharesRequestsBetweenWorkers(t *testing.T) {
	front, back := device(t, "zmq-queue")
	zmqPeer(t, "rep", "connect", back, "100")
	zmqPeer(t, "rep", "connect", back, "100")
	_, lines := zmqPeer(t, "req", "connect", front, "one", "two", "three")
	for _, want := range []string{"ONE", "TWO", "THREE"} {
		if got := nextLine(t, lines); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	out, complaint, code := once(t, "four\nfive\n", "dial", "zmq+req://"+strings.TrimPrefix(front, "tcp://"), "--timeout=20s")
	if out != "FOUR\nFIVE\n" || code != 0 {
		t.Errorf("%q %q %d", out, complaint, code)
	}
}

func TestStreamerSharesTasks(t *testing.T) {
	front, back := device(t, "zmq-streamer")
	_, lines := zmqPeer(t, "pull", "connect", back, "4")
	zmqPeer(t, "push", "connect", front, "1", "2")
	if got := nextLine(t, lines) + nextLine(t, lines); got != "12" {
		t.Errorf("%q", got)
	}
	if _, complaint, code := once(t, "3\n4\n", "dial", "zmq+push://"+strings.TrimPrefix(front, "tcp://"), "--timeout=20s"); code != 0 {
		t.Error(complaint)
	}
	if got := nextLine(t, lines) + nextLine(t, lines); got != "34" {
		t.Errorf("%q", got)
	}
}

func TestDevicesSpeakCurve(t *testing.T) {
	public, secret := zmtp.NewKeyPair()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	front, back := device(t, "zmq-streamer", "--curve-secret="+file)
	key := "--curve-server-key=" + public.String()
	if _, complaint, code := once(t, "secret\n", "dial", "zmq+push://"+strings.TrimPrefix(front, "tcp://"), "--timeout=20s", key); code != 0 {
		t.Error(complaint)
	}
	out, _, code := once(t, "", "dial", "zmq+pull://"+strings.TrimPrefix(back, "tcp://"), "--timeout=2s", key)
	if out != "secret\n" || code != exitTimeout {
		t.Errorf("%q %d", out, code)
	}
	_, complaint, code := once(t, "open\n", "dial", "zmq+push://"+strings.TrimPrefix(front, "tcp://"), "--timeout=1s")
	if code != exitTimeout || !strings.Contains(complaint, "the peer's mechanism is CURVE, this socket's is NULL") {
		t.Errorf("%q %d", complaint, code)
	}
}

func TestDialReachesLibzmq(t *testing.T) {
	at, lines := zmqPeer(t, "pull", "bind", "tcp://127.0.0.1:*", "2")
	if _, complaint, code := once(t, "one\ntwo", "dial", "zmq+push://"+strings.TrimPrefix(at, "tcp://"), "--timeout=20s"); code != 0 {
		t.Error(complaint)
	}
	if got := nextLine(t, lines) + nextLine(t, lines); got != "onetwo" {
		t.Errorf("%q", got)
	}
	path := "ipc://" + filepath.Join(t.TempDir(), "s")
	_, lines = zmqPeer(t, "sub", "bind", path, "a", "1")
	if _, complaint, code := once(t, "a1\n\n", "dial", "zmq+pub://"+strings.TrimPrefix(path, "ipc://"), "--timeout=20s", "--multipart"); code != 0 {
		t.Error(complaint)
	}
	if got := nextLine(t, lines); got != "a1" {
		t.Errorf("%q", got)
	}
	at, _ = zmqPeer(t, "rep", "bind", "tcp://127.0.0.1:*", "2")
	out, complaint, code := once(t, "hello\nworld\n", "dial", "zmq+req://"+strings.TrimPrefix(at, "tcp://"), "--timeout=20s", "--verbose")
	if out != "HELLO\nWORLD\n" || code != 0 || !strings.Contains(complaint, "a REP") {
		t.Errorf("%q %q %d", out, complaint, code)
	}
}

// A socket of ZeroMQ tries again for ever, so it is at its timeout that dial tells why.
func TestDialTellsWhyNoPeerOfZeroMQWasReached(t *testing.T) {
	for _, call := range []struct{ typ, input string }{{"sub", ""}, {"push", "one"}, {"req", "one"}} {
		_, complaint, code := once(t, call.input, "dial", "zmq+"+call.typ+"://"+nobody(t), "--timeout=300ms")
		if code != exitTimeout || !strings.Contains(complaint, "(the last attempt to connect failed: ") || !strings.Contains(complaint, "refused") {
			t.Errorf("%s: %q %d", call.typ, complaint, code)
		}
	}
	silent := listener(t, func(conn *net.TCPConn) { io.Copy(io.Discard, conn) })
	if _, complaint, _ := once(t, "one", "dial", "zmq+req://"+silent, "--timeout=300ms"); !strings.Contains(complaint, "the peer has not completed the handshake") {
		t.Errorf("silent: %q", complaint)
	}
	// A publisher that begins a message of 2 to the 40th bytes.
	vast := listener(t, func(conn *net.TCPConn) {
		io.WriteString(conn, zmqGreeting+"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"+"\x02\x00\x00\x01\x00\x00\x00\x00\x00")
		io.Copy(io.Discard, conn)
	})
	if _, complaint, _ := once(t, "", "dial", "zmq+sub://"+vast, "--timeout=300ms"); !strings.Contains(complaint, "the last connection failed: zmtp: a message of 1099511627776 bytes") {
		t.Errorf("vast: %q", complaint)
	}
}

// zmqGreeting is the greeting of a peer that has no security.
var zmqGreeting = "\xff" + strings.Repeat("\x00", 8) + "\x7f\x03\x01NULL" + strings.Repeat("\x00", 48)

// zmqFrame is a frame of ZMTP.
func zmqFrame(flags byte, body string) string {
	if len(body) > 255 {
		return string(binary.BigEndian.AppendUint64([]byte{flags | 2}, uint64(len(body)))) + body
	}
	return string([]byte{flags, byte(len(body))}) + body
}

// Package zmtp names the fields of its Options, which a user of the command does not have.
func TestErrorsOfZeroMQNameFlags(t *testing.T) {
	s := serve(t, "zmq-forwarder", "--listen=127.0.0.1:0", "--back=127.0.0.1:0", "--max-message=1K")
	front, back := s.addrs[0], strings.TrimPrefix(s.await("listening on ", 2)["msg"].(string), "listening on ")
	ready := func(typ string) string {
		return zmqGreeting + zmqFrame(4, "\x05READY\x0bSocket-Type\x00\x00\x00\x03"+typ)
	}
	subscriptions := new(strings.Builder)
	for i := range 300 {
		subscriptions.WriteString(zmqFrame(4, fmt.Sprintf("\x09SUBSCRIBE%d%s", i, strings.Repeat("x", 60000))))
	}
	for i, call := range []struct{ at, says, want string }{
		{front, ready("PUB") + zmqFrame(0, strings.Repeat("x", 2000)), "a message of 2000 bytes and more, where --max-message allows 1024"},
		{front, ready("PUB") + strings.Repeat(zmqFrame(1, ""), 1025), "a message of more than 1024 parts, which is the limit"},
		{front, strings.Replace(zmqGreeting, "NULL\x00", "CURVE", 1), "with --curve-secret peers must speak CURVE"},
		{back, ready("SUB") + subscriptions.String(), "subscriptions take more than the 16777216 bytes that are allowed"},
	} {
		conn, err := net.Dial("tcp", call.at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go io.WriteString(conn, call.says) // all of it is not taken
		if got := s.await("a peer was ended", i+1)["error"]; !strings.Contains(fmt.Sprint(got), call.want) {
			t.Errorf("%q, want %q", got, call.want)
		}
	}
	other := listener(t, func(conn *net.TCPConn) {
		io.WriteString(conn, strings.Replace(zmqGreeting, "NULL\x00", "CURVE", 1))
		io.Copy(io.Discard, conn)
	})
	_, complaint, _ := once(t, "one", "dial", "zmq+push://"+other, "--timeout=1s")
	if !strings.Contains(complaint, "a server of CURVE needs it") {
		t.Errorf("%q", complaint)
	}
}

// A signal ends dial while it waits for a line, for a message, or for a subscriber.
func TestSignalEndsDialOfZeroMQ(t *testing.T) {
	for _, typ := range []string{"push", "req", "rep", "dealer", "pub", "sub"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			dial := exec.Command(os.Args[0], "dial", "--verbose", "zmq+"+typ+"://"+nobody(t))
			in, err1 := dial.StdinPipe()
			said, err2 := dial.StderrPipe()
			if err := errors.Join(err1, err2, dial.Start()); err != nil {
				t.Fatal(err)
			}
			defer in.Close() // but not before dial has ended
			lines := bufio.NewScanner(said)
			if lines.Scan(); !strings.HasPrefix(lines.Text(), "connect failed") {
				t.Errorf("%q", lines.Text())
			}
			interrupt(t, dial)
			if code := dial.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// Nor does the peer's not taking what was read keep dial.
func TestSignalsEndDialOfZeroMQThatCannotSend(t *testing.T) {
	began := make(chan struct{})
	full := listener(t, func(conn *net.TCPConn) {
		io.WriteString(conn, zmqGreeting+zmqFrame(4, "\x05READY\x0bSocket-Type\x00\x00\x00\x04PULL"))
		io.ReadFull(conn, make([]byte, 1000)) // more than the handshake
		close(began)
		<-t.Context().Done()
	})
	dial := exec.Command(os.Args[0], "dial", "--timeout=1h", "zmq+push://"+full)
	dial.Stdin = strings.NewReader(strings.Repeat("x", 32<<20))
	var said strings.Builder
	dial.Stderr = &said
	if err := dial.Start(); err != nil {
		t.Fatal(err)
	}
	<-began
	interrupt(t, dial)
	if code := dial.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said.String(), "1 messages were not sent\n") {
		t.Errorf("exit code %d: %s", code, said.String())
	}
}

// interrupt signals a process until it ends, as a user does.
func interrupt(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	for end := time.After(time.Minute); ; {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-over:
			return
		case <-time.After(50 * time.Millisecond):
		case <-end:
			cmd.Process.Kill()
			<-over
			t.Fatal("it does not end")
		}
	}
}

func TestWrongZeroMQAddressesAreExplained(t *testing.T) {
	for _, call := range []struct{ args, want string }{
		{"dial zmq+foo://127.0.0.1:1", "zmq+TYPE:// has the types dealer, pair, pub, pull, push, rep, req, sub"},
		{"dial zmq+push://127.0.0.1:1?topic=x", `push has no "topic" in its query`},
		{"dial zmq+push://:1", "the host is missing"},
		{"dial zmq+push://127.0.0.1", "port is missing"},
		{"dial --hex zmq+push://127.0.0.1:1", "--udp, --hex and --zero are not for ZeroMQ"},
		{"dial --zero zmq+push://127.0.0.1:1", "--udp, --hex and --zero are not for ZeroMQ"},
		{"dial --multipart 127.0.0.1:1", "are for zmq+TYPE"},
		{"dial --curve-server-key x zmq+push://127.0.0.1:1", "40 characters"},
		{"serve zmq-queue --tls-self-signed", "--tls-self-signed is not for zmq-queue"},
		{"serve zmq-queue --mode poll", "zmq-queue is served in the mode loop"},
		{"serve zmq-queue --back nowhere", "port is missing"},
		{"serve zmq-queue --high-water-messages 0", "more than 0"},
	} {
		out, complaint, code := once(t, "", strings.Fields(call.args)...)
		if code != exitUsage || out != "" || !strings.Contains(complaint, call.want) {
			t.Errorf("%s: exit code %d, %q%q, want %q", call.args, code, out, complaint, call.want)
		}
	}
}
