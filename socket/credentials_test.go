//go:build unix

package socket

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

func TestPeerCredentialsNeedAPeer(t *testing.T) {
	x, _ := unixPair(t, SOCK_STREAM)
	c, err := x.PeerCredentials()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || c.UID != os.Getuid() || c.GID != os.Getgid() || c.PID != 0 && c.PID != os.Getpid() {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := made(t, AF_UNIX, SOCK_STREAM).PeerCredentials(); !errors.Is(err, syscall.ENOTCONN) {
		t.Error(err)
	}
	tcp, _ := tcpPair(t)
	if _, err := tcp.PeerCredentials(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}
