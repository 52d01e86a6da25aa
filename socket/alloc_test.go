//go:build unix && !race

package socket

import (
	"runtime"
	"testing"
)

// The race detector makes pools forget on purpose, hence the build tag.
func TestSteadyTrafficAllocatesNothing(t *testing.T) {
	x, y := tcpPair(t)
	p, q := make([]byte, 64), make([]byte, 64)
	go func() {
		for {
			if _, err := y.RecvFlags(q, MSG_WAITALL); err != nil {
				return
			}
			y.SendAll(q)
		}
	}()
	idle, _ := unixPair(t, SOCK_STREAM)
	idle.SetBlocking(false)
	a, to := boundDatagram(t, AF_INET)
	a6, to6 := boundDatagram(t, AF_INET6)
	batch, buffers := []Datagram{{Data: p, Addr: to}, {Data: p, Addr: to}}, received(2, 64)
	for name, call := range map[string]func(){
		"there and back, waiting": func() {
			x.SendAll(p)
			x.RecvFlags(p, MSG_WAITALL)
		},
		"would block":    func() { idle.Recv(p) },
		"datagram":       func() { a.SendTo(p, to); a.RecvFrom(p) },
		"datagram, IPv6": func() { a6.SendTo(p, to6); a6.RecvFrom(p) },
		"batch":          func() { a.SendBatch(batch); a.RecvBatch(buffers) },
	} {
		n := testing.AllocsPerRun(1000, call)
		if runtime.GOOS != "linux" && (name == "datagram" || name == "batch") {
			continue // golang.org/x/sys allocates the sender's address
		}
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
