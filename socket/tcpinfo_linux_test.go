package socket

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The offsets are those of tcp_info in linux/tcp.h.
const pythonTCPInfo = `
import socket, struct
s = socket.socket(fileno=3)
b = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 300).ljust(300, b'\0')
u = lambda at: struct.unpack_from('I', b, at)[0]
q = lambda at: struct.unpack_from('Q', b, at)[0]
print(b[0], u(16), u(60), u(68), u(80), u(148), q(120), q(128), u(136), u(140), q(200))
`

func TestTCPInfoIsPythons(t *testing.T) {
	l, to := listening(t, "127.0.0.1:0", nil)
	x := connectedTo(t, to)
	y := accepted(t, l)
	if info, err := l.TCPInfo(); info.State != TCP_LISTEN || err != nil {
		t.Error(info.State, err)
	}
	p := make([]byte, 5000)
	x.SendAll(p)
	y.RecvFlags(p, MSG_WAITALL)
	y.SendAll(p[:700])
	x.RecvFlags(p[:700], MSG_WAITALL)
	var info TCPInfo
	if !settled(func() (done bool) {
		var err error
		info, err = x.TCPInfo()
		noError(t, err)
		return info.BytesAcknowledged >= 5000
	}) {
		t.Fatalf("%+v", info)
	}
	ask := func() string {
		var err error
		info, err = x.TCPInfo()
		noError(t, err)
		us := func(d time.Duration) int64 { return d.Microseconds() }
		return fmt.Sprint(int(info.State), info.SendMSS, info.PathMTU, us(info.RTT), info.CongestionWindow, us(info.MinRTT),
			info.BytesAcknowledged, info.BytesReceived, info.SegmentsSent, info.SegmentsReceived, info.BytesSent)
	}
	askPython := func() string {
		cmd := program(t, "python3", "-c", pythonTCPInfo)
		d, err := x.Dup()
		noError(t, err)
		fd, err := d.Detach()
		noError(t, err)
		f := os.NewFile(uintptr(fd), "connection")
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
		out, err := cmd.Output()
		noError(t, err)
		return strings.TrimSpace(string(out))
	}
	// An acknowledgement that was put off may come between: then both are asked again.
	if !settled(func() bool {
		before, python, after := ask(), askPython(), ask()
		if before == after && before != python {
			t.Errorf("%s, Python says %s", after, python)
		}
		return before == after
	}) {
		t.Error("the connection does not come to rest")
	}
	if info.State.String() != "ESTABLISHED" || info.BytesSent != 5000 || info.BytesReceived != 700 || info.RTT <= 0 {
		t.Errorf("%+v", info)
	}
	y.Shutdown(SHUT_WR)
	x.Recv(p)
	if info, err := x.TCPInfo(); info.State != TCP_CLOSE_WAIT || info.State.String() != "CLOSE-WAIT" || err != nil {
		t.Error(info.State, err)
	}
	u, _ := unixPair(t, SOCK_STREAM)
	if _, err := u.TCPInfo(); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Error(err)
	}
	if TCPState(0).String() != "unknown" || TCPState(99).String() != "unknown" {
		t.Error("a state that is none")
	}
}
