//go:build unix

package socket

import (
	"os"
	"syscall"
	"testing"
)

func TestSignalsInterruptNothing(t *testing.T) {
	x, y := tcpPair(t)
	stop := make(chan struct{})
	stormed := in(func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
				syscall.Kill(os.Getpid(), syscall.SIGURG)
			}
		}
	})
	const size = 8 << 20
	sent := in(func() error { _, err := x.SendAll(make([]byte, size)); return err })
	n, err := y.RecvFlags(make([]byte, size), MSG_WAITALL)
	close(stop)
	if n != size || err != nil {
		t.Error(n, err)
	}
	noError(t, <-sent)
	noError(t, <-stormed)
}
