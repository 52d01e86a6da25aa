package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Each of the peers sends, ends its input, and gets all of it back, in every mode.
func TestEchoServesProgramsThatNobodyHereWrote(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode, "--listen=127.0.0.1:0", "--listen=[::1]:0")
		host, port, _ := net.SplitHostPort(s.addrs[0])
		_, port6, _ := net.SplitHostPort(s.addrs[1])
		said := noise(1, 1_000_000)
		for name, heard := range map[string][]byte{
			"nc":           peer(t, said, "nc", "-N", host, port),
			"nc, IPv6":     peer(t, said, "nc", "-N", "::1", port6),
			"socat":        peer(t, said, "socat", "-t30", "-", "TCP4:"+s.addrs[0]),
			"socat, IPv6":  peer(t, said, "socat", "-t30", "-", "TCP6:"+s.addrs[1]),
			"Python":       peer(t, said, "python3", "testdata/socket_client.py", host, port),
			"Python, IPv6": peer(t, said, "python3", "testdata/socket_client.py", "::1", port6),
		} {
			if !bytes.Equal(heard, said) {
				t.Errorf("%s: %d bytes came back of %d", name, len(heard), len(said))
			}
		}
	})
}

func TestEchoServesProgramsThatNobodyHereWroteOnUnixSockets(t *testing.T) {
	needUnix(t)
	inEveryMode(t, func(t *testing.T, mode string) {
		path := filepath.Join(t.TempDir(), "echo.sock")
		serve(t, "echo", "--mode", mode, "--listen=unix:"+path)
		said := noise(1, 1_000_000)
		for name, heard := range map[string][]byte{
			"nc":     peer(t, said, "nc", "-N", "-U", path),
			"socat":  peer(t, said, "socat", "-t30", "-", "UNIX-CONNECT:"+path),
			"Python": peer(t, said, "python3", "testdata/socket_client.py", path),
		} {
			if !bytes.Equal(heard, said) {
				t.Errorf("%s: %d bytes came back of %d", name, len(heard), len(said))
			}
		}
	})
}

func TestManyPythonClientsOnOneSelectorAreServedAtOnce(t *testing.T) {
	inModes(t, append(eventModes, "goroutines", "processes"), func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode)
		host, port, _ := net.SplitHostPort(s.addrs[0])
		out := peer(t, nil, "python3", "testdata/selector_clients.py", host, port, "50", "20000")
		if string(out) != "50 of 50\n" {
			t.Errorf("%s", out)
		}
	})
}

func TestAbstractUnixNamesAreServed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has abstract names")
	}
	name := "@switchboard-test-" + strings.ReplaceAll(t.TempDir(), "/", "-")
	s := serve(t, "echo", "--listen=unix:"+name)
	if s.addrs[0] != "unix:"+name {
		t.Errorf("listens on %q", s.addrs[0])
	}
	if got := peer(t, []byte("hello"), "socat", "-t30", "-", "ABSTRACT-CONNECT:"+name[1:]); string(got) != "hello" {
		t.Errorf("got %q", got)
	}
}

func TestDaytimeAndTimeAreSaidToWhoSendsFirstToo(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		daytime, clock := serve(t, "daytime", "--mode", mode), serve(t, "time", "--mode", mode)
		for name, input := range map[string][]byte{"says nothing": nil, "says a lot": noise(1, 300_000)} {
			host, port, _ := net.SplitHostPort(daytime.addrs[0])
			words := string(peer(t, input, "nc", "-N", host, port))
			when, err := time.ParseInLocation("Monday, January 2, 2006 15:04:05-MST\r\n", words, time.Local)
			if err != nil || time.Since(when).Abs() > patience {
				t.Errorf("%s: daytime %q, %v", name, words, err)
			}
			host, port, _ = net.SplitHostPort(clock.addrs[0])
			seconds := peer(t, input, "nc", "-N", host, port)
			if len(seconds) != 4 {
				t.Fatalf("%s: time %x", name, seconds)
			}
			if when := time.Unix(int64(binary.BigEndian.Uint32(seconds))-2_208_988_800, 0); time.Since(when).Abs() > patience {
				t.Errorf("%s: time %x is %v", name, seconds, when)
			}
		}
	})
}

func TestChargenGoesOnForAsLongAsItIsRead(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "chargen", "--mode", mode)
		conn := client(t, s)
		conn.CloseWrite() // what the client says, and whether it still does, makes no difference
		got := make([]byte, 7030*1000)
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, bytes.Repeat(got[:7030], 1000)) || !bytes.HasPrefix(got, []byte("!\"#$%&'()*+,-./0123")) {
			t.Error("not the pattern of RFC 864")
		}
	})
}

func TestDiscardTakesEverythingAndSaysNothing(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "discard", "--mode", mode)
		host, port, _ := net.SplitHostPort(s.addrs[0])
		if got := peer(t, noise(1, 3_000_000), "nc", "-N", host, port); len(got) != 0 {
			t.Errorf("said %q", got)
		}
		if got := s.await("disconnected", 1)["received"]; got != 3e6 {
			t.Errorf("received %v", got)
		}
	})
}
