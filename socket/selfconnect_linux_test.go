package socket

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard/internal/netns"
)

func TestPortThatTheSystemChoseIsNoServer(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	// One port alone for sockets that choose none: to connect with it from the same machine is to connect with itself.
	const port = 40001
	writeSysctl(t, "/proc/sys/net/ipv4/ip_local_port_range", fmt.Sprintf("%d %d", port, port))
	to := parsed(t, fmt.Sprintf("127.0.0.1:%d", port))
	own := made(t, AF_INET, SOCK_STREAM)
	noError(t, own.Connect(to))
	if a := localAddr(t, own); a != to {
		t.Fatal("the system chose", a)
	}
	own.SetLinger(0)
	own.Close()
	_, err := CreateConnection(t.Context(), to.String(), nil)
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "its own peer") {
		t.Error(err)
	}
	// With others to choose from, another is chosen, and it is refused by nobody's being there.
	writeSysctl(t, "/proc/sys/net/ipv4/ip_local_port_range", fmt.Sprintf("%d %d", port, port+1))
	for range 50 {
		if _, err := CreateConnection(t.Context(), to.String(), nil); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
	}
	// And who is there is found.
	listening(t, to.String(), nil)
	for range 5 {
		s, err := CreateConnection(t.Context(), to.String(), nil)
		noError(t, err)
		noError(t, s.SetLinger(0))
		s.Close()
	}
}
