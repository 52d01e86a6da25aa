package main

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
)

func TestAProxyIsNotItsOwnTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "front.sock")
	_, port, _ := net.SplitHostPort(nobody(t))
	for _, ends := range [][2]string{
		{"127.0.0.1:" + port, "127.0.0.1:" + port},
		{":" + port, "localhost:" + port},
		{":" + port, "127.0.0.9:" + port},
		{"[::1]:" + port, "tls://[::1]:" + port},
		{"127.0.0.1:" + port, "0.0.0.0:" + port},
		{"unix:" + path, "unix:" + filepath.Dir(path) + "/./front.sock"},
	} {
		if strings.HasPrefix(ends[0], "unix:") && !systest.HasUnix() {
			continue
		}
		_, complaint, code := once(t, "", "serve", "proxy", "--listen", ends[0], "--to", nobody(t), "--to", ends[1])
		if code != exitUsage || !strings.Contains(complaint, "that is the proxy itself") {
			t.Errorf("from %s to %s: exit code %d, %s", ends[0], ends[1], code, complaint)
		}
	}
	proxyTo(t, []string{"127.0.0.2:" + port}, "--listen=127.0.0.1:"+port)
}

// Each line of a loop waits for the next, so that not one would ever end.
func TestALoopOfProxiesEnds(t *testing.T) {
	t.Parallel()
	where := nobody(t)
	second := serve(t, "proxy", "--to", where, "--max-conns=20")
	first := serve(t, "proxy", "--to", second.addrs[0], "--max-conns=20", "--listen", where)
	lost := client(t, first)
	if _, err := lost.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	lost.SetReadDeadline(time.Now().Add(patience))
	if n, err := lost.Read(make([]byte, 5)); !systest.Is(err, syscall.ECONNRESET) {
		t.Errorf("in the loop: %d bytes, %v", n, err)
	}
}

func TestSilentClientsOfAFullProxyMakeRoom(t *testing.T) {
	t.Parallel()
	echo := serve(t, "echo")
	proxy := proxyTo(t, echo.addrs, "--max-conns=4")
	answered := client(t, proxy)
	echoes(t, answered, []byte("hello"))
	var silent []*net.TCPConn
	for range 3 {
		silent = append(silent, client(t, proxy))
	}
	late := client(t, proxy)
	late.SetDeadline(time.Now().Add(patience))
	echoes(t, late, []byte("there is room"))
	proxy.await("all places are taken", 1)
	echoes(t, answered, []byte("still"))
	silent[0].SetReadDeadline(time.Now().Add(patience))
	if _, err := silent[0].Read(make([]byte, 5)); !systest.Is(err, syscall.ECONNRESET) {
		t.Errorf("the oldest of the silent ones: %v", err)
	}
}
