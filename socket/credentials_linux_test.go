package socket

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const pythonCredentials = `
import os, socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
print(*struct.unpack('iii', s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)), flush=True)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.sendall(b'ready')
p, control, flags, _ = s.recvmsg(100, socket.CMSG_SPACE(12))
print(p.decode(), *[(level == socket.SOL_SOCKET, kind == socket.SCM_CREDENTIALS, struct.unpack('iii', data)) for level, kind, data in control])
s.sendmsg([b'from python'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack('iii', os.getpid(), os.getuid(), os.getgid()))])
`

func TestCredentialsArePythons(t *testing.T) {
	l, to := listening(t, t.TempDir()+"/s", nil)
	cmd := program(t, "python3", "-c", pythonCredentials, to.Path())
	var out strings.Builder
	cmd.Stdout = &out
	noError(t, cmd.Start())
	s := accepted(t, l)
	own := Credentials{os.Getpid(), os.Getuid(), os.Getgid()}
	peer := Credentials{cmd.Process.Pid, os.Getuid(), os.Getgid()}
	if got, err := s.PeerCredentials(); got != peer || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, peer)
	}
	p := make([]byte, 100)
	if n, m, err := s.RecvMsg([][]byte{p}, 0, 0); string(p[:n]) != "ready" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	} else if c, ok := m.Credentials(); ok {
		t.Error("credentials that nobody sent:", c)
	}
	noError(t, s.SetPassCredentials(true))
	if n, err := s.SendMsg([][]byte{[]byte("from go")}, []Control{own.Control()}, Addr{}, 0); n != 7 || err != nil {
		t.Error(n, err)
	}
	n, m, err := s.RecvMsg([][]byte{p}, ControlSpace(12), 0)
	if string(p[:n]) != "from python" || err != nil || m.Flags != 0 {
		t.Errorf("%q, %+v, %v", p[:n], m, err)
	}
	if c, ok := m.Credentials(); c != peer || !ok {
		t.Errorf("%+v, %v, want %+v", c, ok, peer)
	}
	noError(t, cmd.Wait())
	want := fmt.Sprintf("%d %d %d\nfrom go (True, True, (%[1]d, %d, %d))\n", own.PID, own.UID, own.GID)
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
