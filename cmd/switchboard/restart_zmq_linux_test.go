package main

import (
	"strings"
	"syscall"
	"testing"
)

// A device of ZeroMQ does not hand over: told to, it goes on. Its peers come back to the one that is started in its place.
func TestPeersOfZeroMQComeBackToANewDevice(t *testing.T) {
	s := serve(t, "zmq-forwarder", "--listen=127.0.0.1:0", "--back=127.0.0.1:0")
	front, back := s.addrs[0], strings.TrimPrefix(s.await("listening on ", 2)["msg"].(string), "listening on ")
	zmqPeer(t, "pub", "connect", "tcp://"+front, "a", "before")
	_, heard := zmqPeer(t, "sub", "connect", "tcp://"+back, "a", "100000")
	awaits := func(want string) {
		t.Helper()
		for line := nextLine(t, heard); line != "a "+want; line = nextLine(t, heard) {
			if line != "a before" {
				t.Fatalf("%q", line)
			}
		}
	}
	awaits("before")
	s.cmd.Process.Signal(syscall.SIGUSR2)
	zmqPeer(t, "pub", "connect", "tcp://"+front, "a", "still")
	awaits("still")
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.wait()
	serve(t, "zmq-forwarder", "--listen="+front, "--back="+back)
	zmqPeer(t, "pub", "connect", "tcp://"+front, "a", "after")
	for line := nextLine(t, heard); line != "a after"; line = nextLine(t, heard) {
		if line != "a before" && line != "a still" {
			t.Fatalf("%q", line)
		}
	}
}
