//go:build unix

package main

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard"
)

func TestReadinessEndsBeforeTheServer(t *testing.T) {
	s := serve(t, "proxy", "--to="+serve(t, "echo").addrs[0], "--admin=127.0.0.1:0", "--grace=10m")
	at := adminURL(s)
	conn := client(t, s)
	echoes(t, conn, []byte("hello"))
	if status, body := get(t, at+"readyz"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	until(t, "it is draining", func() bool {
		status, body := get(t, at+"readyz")
		return status == 503 && body == "draining\n"
	})
	if status, body := get(t, at+"healthz"); status != 200 {
		t.Errorf("it is not well while it drains: %d %s", status, body)
	}
	echoes(t, conn, []byte("and still serves"))
	conn.Close()
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestReadinessEndsWithDescriptors(t *testing.T) {
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -n 64; exec "$@"`, "sh", os.Args[0]},
		serveArgs([]string{"echo", "--admin=127.0.0.1:0", "--max-conns=0"})...)...)
	s := start(t, cmd)
	at := adminURL(s)
	until(t, "it is ready", func() bool { // asked over a connection that stays open
		status, _ := get(t, at+"readyz")
		return status == 200
	})
	var conns []net.Conn
	for range 64 {
		conn, err := net.Dial("tcp", s.addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	until(t, "it is not ready", func() bool {
		status, body := get(t, at+"readyz")
		return status == 503 && strings.HasPrefix(body, "no descriptors left")
	})
	for _, conn := range conns {
		conn.Close()
	}
	until(t, "it is ready again", func() bool {
		status, _ := get(t, at+"readyz")
		return status == 200
	})
}

// A process that takes over from another one gets the address of the page when that one has let go of it.
func TestTheAdminPageOfASuccessorWaitsForItsAddress(t *testing.T) {
	before, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	f := &adminFlags{address: before.Addr().String()}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	if _, err := f.serve(log, loopService{name: "echo"}, &switchboard.Server{}, func() {}, false); err == nil {
		t.Fatal("two pages have one address")
	}
	end, err := f.serve(log, loopService{name: "echo"}, &switchboard.Server{}, func() {}, true)
	if err != nil {
		t.Fatal(err)
	}
	before.Close()
	until(t, "the page is there", func() bool {
		answer, err := http.Get("http://" + f.address + "/healthz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == 200
	})
	end()
	end()
	if _, err := http.Get("http://" + f.address + "/healthz"); err == nil {
		t.Error("the page is there after its end")
	}
}
