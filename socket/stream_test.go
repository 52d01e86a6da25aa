package socket

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"syscall"
	"testing"
)

func TestBytesArriveWholeAndInOrder(t *testing.T) {
	addresses := []string{"127.0.0.1:0", "[::1]:0", t.TempDir() + "/s.sock"}
	if runtime.GOOS == "linux" {
		addresses = append(addresses, "@switchboard-test-"+t.Name())
	}
	for _, address := range addresses {
		t.Run(address, func(t *testing.T) {
			l, to := listening(t, address, nil)
			x := connectedTo(t, to)
			y := accepted(t, l)
			want := bytes.Repeat([]byte("0123456789"), 300_000)
			sent := in(func() error {
				n, err := x.SendAll(want)
				if err == nil && n != len(want) {
					err = io.ErrShortWrite
				}
				x.Shutdown(SHUT_WR)
				return err
			})
			got, err := io.ReadAll(y)
			noError(t, err)
			noError(t, <-sent)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes came of %d, or not the same", len(got), len(want))
			}
			// The other direction is open still.
			if _, err := y.Send([]byte("bye")); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 10)
			if n, err := x.Recv(p); err != nil || string(p[:n]) != "bye" {
				t.Fatalf("%q, %v", p[:n], err)
			}
		})
	}
}

func TestEndOfStreamIsEOF(t *testing.T) {
	for name, pair := range map[string]func(testing.TB) (x, y *Socket){
		"tcp":  tcpPair,
		"unix": func(t testing.TB) (x, y *Socket) { return unixPair(t, SOCK_STREAM) },
	} {
		t.Run(name, func(t *testing.T) {
			x, y := pair(t)
			x.Close()
			p := make([]byte, 1)
			for range 2 {
				if n, err := y.Recv(p); n != 0 || err != io.EOF {
					t.Error("recv:", n, err)
				}
				if n, _, err := y.RecvFrom(p); n != 0 || err != io.EOF {
					t.Error("recvfrom:", n, err)
				}
				if n, _, err := y.RecvMsg([][]byte{p}, 0, 0); n != 0 || err != io.EOF {
					t.Error("recvmsg:", n, err)
				}
				if n, err := y.RecvFlags(p, MSG_WAITALL); n != 0 || err != io.EOF {
					t.Error("recv all:", n, err)
				}
				if n, err := y.Recv(nil); n != 0 || err != nil {
					t.Error("nothing asked for:", n, err)
				}
			}
		})
	}
}

func TestEmptyDatagramIsNotTheEnd(t *testing.T) {
	x, _ := boundDatagram(t, AF_INET)
	y, to := boundDatagram(t, AF_INET)
	for range 3 {
		if _, err := x.SendTo(nil, to); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 10)
	if n, err := y.Recv(p); n != 0 || err != nil {
		t.Error("recv:", n, err)
	}
	if n, from, err := y.RecvFrom(p); n != 0 || err != nil || from != localAddr(t, x) {
		t.Error("recvfrom:", n, from, err)
	}
	if n, _, err := y.RecvMsg([][]byte{p}, 0, 0); n != 0 || err != nil {
		t.Error("recvmsg:", n, err)
	}
}

func TestPeekLeavesTheBytes(t *testing.T) {
	x, y := tcpPair(t)
	x.Send([]byte("hello"))
	p := make([]byte, 10)
	for range 2 {
		if n, err := y.RecvFlags(p, MSG_PEEK); err != nil || string(p[:n]) != "hello" {
			t.Fatalf("%q, %v", p[:n], err)
		}
	}
	if n, err := y.Recv(p); err != nil || string(p[:n]) != "hello" {
		t.Fatalf("%q, %v", p[:n], err)
	}
}

func TestUrgentByteOvertakes(t *testing.T) {
	x, y := tcpPair(t)
	x.Send([]byte("abc"))
	if n, err := x.SendFlags([]byte("!"), MSG_OOB); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	x.Send([]byte("def"))
	p := make([]byte, 10)
	if n, err := y.RecvFlags(p, MSG_OOB); err != nil || string(p[:n]) != "!" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	p = p[:6]
	if n, err := y.RecvFlags(p, MSG_WAITALL); err != nil || string(p[:n]) != "abcdef" {
		t.Fatalf("%q, %v", p[:n], err)
	}
}

func TestUrgentByteInline(t *testing.T) {
	x, y := tcpPair(t)
	noError(t, y.SetOptionBool(SOL_SOCKET, SO_OOBINLINE, true))
	x.Send([]byte("abc"))
	x.SendFlags([]byte("!"), MSG_OOB)
	x.Shutdown(SHUT_WR)
	if p, err := io.ReadAll(y); err != nil || string(p) != "abc!" {
		t.Fatalf("%q, %v", p, err)
	}
}

func TestWaitAllFillsTheBuffer(t *testing.T) {
	x, y := tcpPair(t)
	p := make([]byte, 6)
	got := in(func() error {
		n, err := y.RecvFlags(p, MSG_WAITALL)
		if err == nil && string(p[:n]) != "abcdef" {
			err = errors.New(string(p[:n]))
		}
		return err
	})
	x.Send([]byte("abc"))
	waitParked(t, "RecvFlags", 1)
	x.Send([]byte("def"))
	noError(t, <-got)

	x.Send([]byte("xyz"))
	x.Close()
	if n, err := y.RecvFlags(p, MSG_WAITALL); err != io.EOF || string(p[:n]) != "xyz" {
		t.Fatalf("%q, %v", p[:n], err)
	}
}

func TestHalfCloseAnswersStill(t *testing.T) {
	x, y := tcpPair(t)
	noError(t, x.Shutdown(SHUT_WR))
	if _, err := x.Send([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Error("send after shutdown:", err)
	}
	if p, err := io.ReadAll(y); len(p) != 0 || err != nil {
		t.Error(p, err)
	}
	y.SendAll([]byte("reply"))
	y.Close()
	if p, err := io.ReadAll(x); string(p) != "reply" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}

func TestShutdownForReadingWakes(t *testing.T) {
	_, y := tcpPair(t)
	got := in(func() error { _, err := y.Recv(make([]byte, 1)); return err })
	waitParked(t, "Recv", 1)
	noError(t, y.Shutdown(SHUT_RD))
	if err := <-got; err != io.EOF {
		t.Error(err)
	}
}

func TestResetIsTold(t *testing.T) {
	x, y := tcpPair(t)
	peer := localAddr(t, x).String()
	got := in(func() error { _, err := y.Recv(make([]byte, 1)); return err })
	waitParked(t, "Recv", 1)
	noError(t, x.SetLinger(0))
	x.Close()
	err := <-got
	if !errors.Is(err, syscall.ECONNRESET) || err.Error() != "recv "+peer+": connection reset by peer" {
		t.Error(err)
	}
}

func TestSendAllTellsHowManyWent(t *testing.T) {
	x, y := tcpPair(t)
	noError(t, y.SetRecvBuffer(4096))
	noError(t, x.SetSendBuffer(4096))
	var n int
	sent := in(func() (err error) {
		n, err = x.SendAll(make([]byte, 64<<20))
		return err
	})
	waitParked(t, "SendAll", 1)
	y.SetLinger(0)
	y.Close()
	if err := <-sent; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	if n <= 0 || n >= 64<<20 {
		t.Error("went:", n)
	}
}

func TestSendersDoNotInterleave(t *testing.T) {
	x, y := tcpPair(t)
	noError(t, x.SetSendBuffer(4096))
	const size, senders = 100_000, 4
	var done []<-chan error
	for i := range senders {
		p := bytes.Repeat([]byte{byte('a' + i)}, size)
		done = append(done, in(func() error { _, err := x.SendAll(p); return err }))
	}
	got := make([]byte, senders*size)
	_, err := y.RecvFlags(got, MSG_WAITALL)
	noError(t, err)
	for _, d := range done {
		noError(t, <-d)
	}
	for len(got) > 0 {
		if !bytes.Equal(got[:size], bytes.Repeat(got[:1], size)) {
			t.Fatal("the bytes of two senders are mixed")
		}
		got = got[size:]
	}
}

func TestLongDatagramIsCut(t *testing.T) {
	x, y := unixPair(t, SOCK_DGRAM)
	x.Send([]byte("0123456789"))
	x.Send([]byte("next"))
	p := make([]byte, 4)
	if n, err := y.Recv(p); err != nil || string(p[:n]) != "0123" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	if n, err := y.Recv(p); err != nil || string(p[:n]) != "next" {
		t.Fatalf("%q, %v", p[:n], err)
	}
}
