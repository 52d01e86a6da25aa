package socket

import (
	"fmt"
	"net"
	"testing"
)

// BenchmarkEcho sends a message there and back between two goroutines over TCP on loopback: what a blocked Recv costs.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64, 16384} {
		b.Run(fmt.Sprintf("socket/%d", size), func(b *testing.B) {
			x, y := tcpPair(b)
			echo(b, x, y, size)
		})
		b.Run(fmt.Sprintf("net/%d", size), func(b *testing.B) {
			x, y := netPair(b)
			echo(b, x, y, size)
		})
	}
}

type readWriter interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
}

func echo(b *testing.B, x, y readWriter, size int) {
	go func() {
		p := make([]byte, size)
		for {
			n, err := y.Read(p)
			if err != nil {
				return
			}
			if _, err := y.Write(p[:n]); err != nil {
				return
			}
		}
	}()
	p := make([]byte, size)
	b.SetBytes(int64(2 * size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Write(p); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < size; {
			m, err := x.Read(p[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += m
		}
	}
}

// BenchmarkReady sends and receives where nothing has to wait: what a call itself costs.
func BenchmarkReady(b *testing.B) {
	b.Run("socket", func(b *testing.B) {
		x, y := tcpPair(b)
		readyEcho(b, x, y)
	})
	b.Run("socket/nonblocking", func(b *testing.B) {
		x, y := tcpPair(b)
		x.SetBlocking(false)
		readyEcho(b, x, y)
	})
	b.Run("net", func(b *testing.B) {
		x, y := netPair(b)
		readyEcho(b, x, y)
	})
}

func readyEcho(b *testing.B, x, y readWriter) {
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Write(p); err != nil {
			b.Fatal(err)
		}
		if n, err := y.Read(p); n != len(p) {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkWouldBlock asks a non-blocking socket that has nothing.
func BenchmarkWouldBlock(b *testing.B) {
	x, _ := tcpPair(b)
	x.SetBlocking(false)
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Recv(p); err == nil {
			b.Fatal("there was something")
		}
	}
}

// BenchmarkDatagram sends a datagram to a socket of the same program, by address.
func BenchmarkDatagram(b *testing.B) {
	for _, family := range []int{AF_INET, AF_INET6} {
		b.Run("socket/"+familyName(family), func(b *testing.B) {
			x, _ := boundDatagram(b, family)
			y, to := boundDatagram(b, family)
			p := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.SendTo(p, to); err != nil {
					b.Fatal(err)
				}
				if _, from, err := y.RecvFrom(p); err != nil || !from.IsValid() {
					b.Fatal(from, err)
				}
			}
		})
	}
	b.Run("net", func(b *testing.B) {
		x, y := packetConn(b), packetConn(b)
		to := y.LocalAddr().(*net.UDPAddr).AddrPort()
		p := make([]byte, 64)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := x.WriteToUDPAddrPort(p, to); err != nil {
				b.Fatal(err)
			}
			if _, _, err := y.ReadFromUDPAddrPort(p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkConnect makes a connection, accepts it and closes both ends.
func BenchmarkConnect(b *testing.B) {
	b.Run("socket", func(b *testing.B) {
		l, to := listening(b, "127.0.0.1:0", nil)
		b.ReportAllocs()
		for b.Loop() {
			x, err := New(AF_INET, SOCK_STREAM, 0)
			if err != nil {
				b.Fatal(err)
			}
			x.SetLinger(0)
			if err := x.Connect(to); err != nil {
				b.Fatal(err)
			}
			y, _, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			x.Close()
			y.Close()
		}
	})
	b.Run("net", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		b.ReportAllocs()
		for b.Loop() {
			x, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			x.(*net.TCPConn).SetLinger(0)
			y, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			x.Close()
			y.Close()
		}
	})
}

func packetConn(b *testing.B) *net.UDPConn {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

func netPair(b *testing.B) (x, y net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if x, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if y, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		x.Close()
		y.Close()
	})
	return x, y
}
