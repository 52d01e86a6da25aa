//go:build unix

package socket

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// received is a list of n buffers of the size.
func received(n, size int) []Datagram {
	list := make([]Datagram, n)
	for i := range list {
		list[i].Data = make([]byte, size)
	}
	return list
}

func TestBatchIsSentAndReceived(t *testing.T) {
	for _, family := range []int{AF_INET, AF_INET6} {
		x, xa := boundDatagram(t, family)
		y, ya := boundDatagram(t, family)
		z, za := boundDatagram(t, family)
		list := []Datagram{
			{Data: []byte("one"), Addr: ya}, {Data: []byte("two"), Addr: za}, {Addr: ya}, {Data: []byte("the fourth"), Addr: ya},
		}
		if n, err := x.SendBatch(list); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		got := received(5, 5)
		n, err := y.RecvBatch(got)
		if n != 3 || err != nil {
			t.Fatal(n, err)
		}
		for i, want := range []struct {
			text  string
			flags int
		}{{"one", 0}, {"", 0}, {"the f", MSG_TRUNC}} {
			d := got[i]
			if string(d.Data[:d.N]) != want.text || d.Addr != xa || d.Flags != want.flags || d.Segment != 0 || len(d.Data) != 5 {
				t.Errorf("%d: %+v, want %+v", i, d, want)
			}
		}
		noError(t, x.Connect(za))
		if n, err := x.SendBatch([]Datagram{{Data: []byte("three")}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := z.RecvBatch(got[:1]); n != 1 || string(got[0].Data[:got[0].N]) != "two" || err != nil {
			t.Error(n, got[0], err)
		}
		if n, err := z.RecvBatch(got); n != 1 || string(got[0].Data[:got[0].N]) != "three" || err != nil {
			t.Error(n, got[0], err)
		}
	}
}

func TestBatchOfUnixDatagrams(t *testing.T) {
	x, y := unixPair(t, SOCK_DGRAM)
	if n, err := x.SendBatch([]Datagram{{Data: []byte("a")}, {Data: []byte("bc")}}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	list := received(3, 10)
	for got := 0; got < 2; {
		n, err := y.RecvBatch(list[got:])
		noError(t, err)
		got += n
	}
	if string(list[0].Data[:list[0].N])+string(list[1].Data[:list[1].N]) != "abc" {
		t.Error(list)
	}
}

func TestBatchWaitsAsTheModeSays(t *testing.T) {
	x, y := unixPair(t, SOCK_DGRAM)
	list := received(4, 4)
	waiting := in(func() error { _, err := y.RecvBatch(list); return err })
	waitParked(t, "RecvBatch", 1)
	x.Send([]byte("woke"))
	noError(t, <-waiting)

	noError(t, y.SetTimeout(time.Millisecond))
	if n, err := y.RecvBatch(list); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(n, err)
	}
	noError(t, y.SetBlocking(false))
	if n, err := y.RecvBatch(list); n != 0 || !errors.Is(err, ErrWouldBlock) {
		t.Error(n, err)
	}
	if n, err := y.RecvBatch(nil); n != 0 || err != nil {
		t.Error("an empty list:", n, err)
	}
	// More than the system takes, and more than one call moves.
	noError(t, x.SetBlocking(false))
	many := make([]Datagram, 3*MaxBatch)
	for i := range many {
		many[i].Data = make([]byte, 1000)
	}
	sent, err := x.SendBatch(many)
	if !errors.Is(err, ErrWouldBlock) || sent == 0 || sent >= len(many) {
		t.Fatal(sent, err)
	}
	noError(t, x.SetBlocking(true))
	all := in(func() error {
		n, err := x.SendBatch(many[sent:])
		if err == nil && n != len(many)-sent {
			err = fmt.Errorf("%d of %d", n, len(many)-sent)
		}
		return err
	})
	noError(t, y.SetBlocking(true))
	for got := 0; got < len(many); {
		n, err := y.RecvBatch(received(2*MaxBatch, 1000))
		noError(t, err)
		got += n
	}
	noError(t, <-all)

	waiting = in(func() error { _, err := y.RecvBatch(list); return err })
	waitParked(t, "RecvBatch", 1)
	y.Close()
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"send":         func() error { _, err := y.SendBatch(list); return err }(),
		"receive":      func() error { _, err := y.RecvBatch(list); return err }(),
		"receive none": func() error { _, err := y.RecvBatch(nil); return err }(),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Error(name, err)
		}
	}
}

func TestBatchNamesTheDatagramThatFailed(t *testing.T) {
	x, _ := boundDatagram(t, AF_INET)
	y, ya := boundDatagram(t, AF_INET)
	for _, c := range []struct {
		bad   Datagram
		sent  int
		cause error
		text  string
	}{
		{Datagram{Data: make([]byte, 70_000), Addr: ya}, 2, syscall.EMSGSIZE, "sendmmsg " + ya.String() + ": message too long"},
		{Datagram{Addr: parsed(t, "[::1]:7")}, 2, syscall.EAFNOSUPPORT, "sendmmsg [::1]:7: an AF_INET6 address on an AF_INET"},
		{Datagram{Data: []byte("x")}, 2, syscall.EDESTADDRREQ, "sendmmsg "},
		{Datagram{Data: []byte("x"), Segment: -1, Addr: ya}, 2, syscall.EINVAL, "sendmmsg " + ya.String() + ": the segment"},
		{Datagram{Addr: Addr{}, Data: []byte("x"), Segment: 65536}, 2, syscall.EINVAL, "sendmmsg "},
		{Datagram{Data: []byte("x"), Segment: 65536, Addr: ya}, 2, syscall.EINVAL, "sendmmsg " + ya.String() + ": the segment"},
	} {
		good := Datagram{Data: []byte("good"), Addr: ya}
		n, err := x.SendBatch([]Datagram{good, good, c.bad, good})
		if n != c.sent || !errors.Is(err, c.cause) || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%d, %v, want %d, %s", n, err, c.sent, c.text)
		}
		if c.sent > 0 {
			if n, err := y.RecvBatch(received(10, 10)); n != c.sent || err != nil {
				t.Error(n, err)
			}
		}
	}
	s, _ := tcpPair(t)
	if _, err := s.SendBatch(nil); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
	if _, err := s.RecvBatch(received(1, 1)); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestSegmentsTravelAsOne(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 1000)
	for _, family := range []int{AF_INET, AF_INET6} {
		x, xa := boundDatagram(t, family)
		y, ya := boundDatagram(t, family)
		list := []Datagram{{Data: text[:3500], Segment: 1000, Addr: ya}, {Data: text[:500], Segment: 1000, Addr: ya}}
		n, err := x.SendBatch(list)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		if n != 2 || err != nil {
			t.Fatal(n, err)
		}
		got := received(10, 2000)
		if n, err := y.RecvBatch(got); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		for i, want := range []int{1000, 1000, 1000, 500, 500} {
			if d := got[i]; d.N != want || !bytes.Equal(d.Data[:d.N], text[:d.N]) || d.Segment != 0 {
				t.Errorf("%d: %d bytes, segment %d", i, d.N, d.Segment)
			}
		}

		_, err = x.SendBatch([]Datagram{{Data: text, Segment: 10, Addr: ya}})
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "no more than 64 segments") {
			t.Error(err)
		}

		noError(t, y.SetGRO(true))
		list = append(list, Datagram{Data: []byte("alone"), Addr: ya})
		if n, err := x.SendBatch(list); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		got = received(10, 65535)
		if n, err := y.RecvBatch(got); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		for i, want := range []struct{ n, segment int }{{3500, 1000}, {500, 0}, {5, 0}} {
			if d := got[i]; d.N != want.n || d.Segment != want.segment || d.Addr != xa || d.Flags != 0 {
				t.Errorf("%d: %d bytes, segment %d, flags %#x, want %+v", i, d.N, d.Segment, d.Flags, want)
			}
		}
		if !bytes.Equal(got[0].Data[:3500], text[:3500]) {
			t.Error("the bytes are others")
		}
	}
}

const pythonDatagrams = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
for _ in range(70):
    p, peer = s.recvfrom(2000)
    s.sendto(p[::-1], peer)
`

func TestPythonExchangesBatches(t *testing.T) {
	cmd := program(t, "python3", "-c", pythonDatagrams)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		t.Fatal(err)
	}
	s, _ := boundDatagram(t, AF_INET)
	to := parsed(t, fmt.Sprintf("127.0.0.1:%d", port))
	var list []Datagram
	for i := range 70 {
		list = append(list, Datagram{Data: fmt.Appendf(nil, "%02d", i), Addr: to})
	}
	if n, err := s.SendBatch(list); n != 70 || err != nil {
		t.Fatal(n, err)
	}
	for i := 0; i < 70; {
		got := received(100, 10)
		n, err := s.RecvBatch(got)
		noError(t, err)
		for _, d := range got[:n] {
			if want := fmt.Sprintf("%c%c", '0'+i%10, '0'+i/10); string(d.Data[:d.N]) != want || d.Addr != to {
				t.Errorf("%q from %v, want %s", d.Data[:d.N], d.Addr, want)
			}
			i++
		}
	}
	noError(t, cmd.Wait())
}

// BenchmarkDatagrams sends datagrams of 1200 bytes over loopback and receives them, in one goroutine: what the system calls
// and the way through the kernel cost for each.
func BenchmarkDatagrams(b *testing.B) {
	const size, together = 1200, 48
	for _, c := range []struct {
		name     string
		one, gro bool
		segment  int
	}{
		{"one call each", true, false, 0}, {"batch", false, false, 0},
		{"GSO", false, false, size}, {"GSO and GRO", false, true, size},
	} {
		b.Run(c.name, func(b *testing.B) {
			x, _ := boundDatagram(b, AF_INET)
			y, to := boundDatagram(b, AF_INET)
			noError(b, y.SetRecvBuffer(1<<20))
			var out []Datagram
			for range together {
				out = append(out, Datagram{Data: make([]byte, size), Addr: to})
			}
			if c.segment > 0 {
				out = []Datagram{{Data: make([]byte, size*together), Segment: c.segment, Addr: to}}
			}
			if c.gro {
				noError(b, y.SetGRO(true))
			}
			in := received(together, size*together)
			b.SetBytes(size * together)
			b.ReportAllocs()
			for b.Loop() {
				if c.one {
					for i := range out {
						if _, err := x.SendTo(out[i].Data, to); err != nil {
							b.Fatal(err)
						}
						if _, _, err := y.RecvFrom(in[i].Data); err != nil {
							b.Fatal(err)
						}
					}
					continue
				}
				if _, err := x.SendBatch(out); err != nil {
					b.Fatal(err)
				}
				for bytes := 0; bytes < size*together; {
					n, err := y.RecvBatch(in)
					if err != nil {
						b.Fatal(err)
					}
					for _, d := range in[:n] {
						bytes += d.N
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/together, "ns/datagram")
		})
	}
}
