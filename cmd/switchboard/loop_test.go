package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

func TestEveryEngineCarriesTheLoops(t *testing.T) {
	for _, engine := range switchboard.Engines() {
		t.Run(engine, func(t *testing.T) {
			s := serve(t, "echo", "--engine", engine, "--loops=2")
			host, port, _ := net.SplitHostPort(s.addrs[0])
			said := noise(1, 1_000_000)
			if heard := peer(t, said, "nc", "-N", host, port); !bytes.Equal(heard, said) {
				t.Errorf("%d bytes came back of %d", len(heard), len(said))
			}
			proxy := proxyTo(t, s.addrs, "--engine", engine)
			host, port, _ = net.SplitHostPort(proxy.addrs[0])
			if heard := peer(t, said, "nc", "-N", host, port); !bytes.Equal(heard, said) {
				t.Errorf("%d bytes came back of %d through the proxy", len(heard), len(said))
			}
		})
	}
}

// Without --verbose the log is silent about clients: a line costs as much as a connection.
func TestTheLoopLogsNoClientsUnlessVerbose(t *testing.T) {
	args := []string{"serve", "echo", "--log=json", "--listen=127.0.0.1:0"}
	for want, more := range [][]string{nil, {"--verbose"}} {
		s := start(t, exec.Command(os.Args[0], append(args, more...)...))
		conn := client(t, s)
		echoes(t, conn, []byte("hello"))
		conn.Close()
		s.stop()
		if n := len(s.entries("connected")); n != want {
			t.Errorf("%v: %d lines about one client", more, n)
		}
		if n := len(s.entries("disconnected")); n != want {
			t.Errorf("%v: %d lines about the end of one client", more, n)
		}
	}
}

// The flags reach the server: with a queue of 8k and a turn of 1k it takes far less from a client that does not read.
func TestTheLimitsAreFlags(t *testing.T) {
	s := serve(t, "echo", "--read-buffer=1k", "--high-water=8k", "--low-water=1k", "--queue-limit=16k", "--input-limit=4k",
		"--loops=1", "--write-timeout=2s", "--linger=0", "--slow-call=1s", "--keep-alive=0", "--max-conns=1")
	conn := client(t, s)
	said := noise(9, 1_000_000)
	echoes(t, conn, said)
	conn.Close()
	stalled := stall(t, s)
	defer stalled.Close()
	for { // a server that reads 1k a turn may have been slow, and not have stopped
		stalled.SetWriteDeadline(time.Now().Add(patience))
		if _, err := stalled.Write(said[:4<<10]); err != nil {
			break
		}
	}
	if e := s.await("disconnected", 2); e["reason"] == nil {
		t.Errorf("a client that takes nothing for two seconds: %v", e)
	}
}
