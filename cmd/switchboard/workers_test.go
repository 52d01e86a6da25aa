//go:build unix

package main

import (
	"net"
	"syscall"
	"testing"
)

func TestAKilledWorkerIsReplacedAndTheOthersGoOn(t *testing.T) {
	s := serve(t, "echo", "--mode=processes")
	conns := clientsOfTwoWorkers(t, s)
	started := len(s.entries("worker started"))
	victim := pidOf(s.await("worker started", 1))
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := s.await("worker ended", 1); pidOf(e) != victim || e["reason"] != "signal: killed" {
		t.Errorf("%v", e)
	}
	s.await("worker started", started+1)
	for pid, conn := range conns {
		if pid == victim {
			if n, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("%d bytes from a worker that was killed", n)
			}
			continue
		}
		echoes(t, conn, []byte("still here"))
	}
	for range 20 {
		conn := client(t, s)
		echoes(t, conn, []byte("hello"))
		conn.Close()
	}
}

func TestAWorkerThatIsToldToStopFinishesAndIsReplaced(t *testing.T) {
	s := serve(t, "echo", "--mode=processes")
	conns := clientsOfTwoWorkers(t, s)
	started := len(s.entries("worker started"))
	for pid, conn := range conns {
		syscall.Kill(pid, syscall.SIGTERM)
		echoes(t, conn, []byte("in flight"))
	}
	s.await("worker started", started+len(conns))
	echoes(t, client(t, s), []byte("hello"))
}

func TestWorkersEndWithAServerThatWasKilled(t *testing.T) {
	s := serve(t, "echo", "--mode=processes")
	clientsOfTwoWorkers(t, s)
	s.cmd.Process.Kill()
	if code := s.wait(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d", code)
	}
}

// clientsOfTwoWorkers connects until two workers have a client each, and returns those by the workers' process ids.
func clientsOfTwoWorkers(t testing.TB, s *server) map[int]net.Conn {
	t.Helper()
	conns := map[int]net.Conn{}
	for n := 1; len(conns) < 2; n++ {
		conn := client(t, s)
		echoes(t, conn, []byte("hello"))
		conns[pidOf(s.await("connected", n))] = conn
	}
	return conns
}

func pidOf(e entry) int { return int(e["worker"].(float64)) }
