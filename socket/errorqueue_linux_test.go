package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestErrorQueueIsNotWaitedFor(t *testing.T) {
	s, _ := boundDatagram(t, AF_INET)
	noError(t, s.SetOptionBool(IPPROTO_IP, IP_RECVERR, true))
	noError(t, s.SetTimeout(time.Minute))
	p := make([]byte, 10)
	for name, call := range map[string]func() error{
		"recv":     func() error { _, err := s.RecvFlags(p, MSG_ERRQUEUE); return err },
		"recvfrom": func() error { _, _, err := s.RecvFromFlags(p, MSG_ERRQUEUE); return err },
		"recvmsg":  func() error { _, _, err := s.RecvMsg([][]byte{p}, 100, MSG_ERRQUEUE); return err },
	} {
		if err := call(); !errors.Is(err, ErrWouldBlock) {
			t.Error(name, err)
		}
	}
	// What is there comes with its cause.
	to := unusedDatagramPort(t)
	_, err := s.SendTo([]byte("lost"), to)
	noError(t, err)
	ready(t, s, unix.POLLERR)
	n, m, err := s.RecvMsg([][]byte{p}, 100, MSG_ERRQUEUE)
	if string(p[:n]) != "lost" || err != nil || m.Flags != MSG_ERRQUEUE || m.Addr != to {
		t.Fatalf("%q, %+v, %v", p[:n], m, err)
	}
	for _, c := range m.Control {
		if c.Level == IPPROTO_IP && c.Type == IP_RECVERR {
			if e := binary.NativeEndian.Uint32(c.Data); syscall.Errno(e) != syscall.ECONNREFUSED {
				t.Error(syscall.Errno(e))
			}
			return
		}
	}
	t.Errorf("no cause: %+v", m)
}

func TestErrorQueueIsNoEndOfTheStream(t *testing.T) {
	x, y := tcpPair(t)
	noError(t, x.SetOption(SOL_SOCKET, SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_TX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE|
		unix.SOF_TIMESTAMPING_OPT_TSONLY))
	x.Send([]byte("x"))
	y.Recv(make([]byte, 1))
	ready(t, x, unix.POLLERR)
	n, m, err := x.RecvMsg([][]byte{make([]byte, 10)}, 0, MSG_ERRQUEUE)
	if n != 0 || err != nil || m.Flags&MSG_CTRUNC == 0 {
		t.Error(n, fmt.Sprintf("%+v", m), err)
	}
}

// unusedDatagramPort is where nobody receives.
func unusedDatagramPort(t *testing.T) Addr {
	t.Helper()
	s := made(t, AF_INET, SOCK_DGRAM)
	noError(t, s.Bind(parsed(t, "127.0.0.1:0")))
	to := localAddr(t, s)
	noError(t, s.Close())
	return to
}
