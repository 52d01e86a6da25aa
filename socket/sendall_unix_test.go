//go:build unix

package socket

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSendAllWithFlags(t *testing.T) {
	x, y := tcpPair(t)
	if n, err := x.SendAllFlags([]byte("urgent!"), MSG_OOB); n != 7 || err != nil {
		t.Fatal(n, err)
	}
	ready(t, y, unix.POLLPRI)
	p := make([]byte, 10)
	if n, err := y.RecvFlags(p, MSG_OOB); string(p[:n]) != "!" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	if n, err := y.RecvFlags(p[:6], MSG_WAITALL); string(p[:n]) != "urgent" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	n, err := x.SendAllFlags(make([]byte, 64<<20), MSG_DONTWAIT)
	if !errors.Is(err, ErrWouldBlock) || n <= 0 || n >= 64<<20 {
		t.Error(n, err)
	}
}
