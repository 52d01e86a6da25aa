package uring

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listen is a TCP listener on the loopback, and its descriptor's duplicate.
func listen(t testing.TB) (net.Listener, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); l.Close() })
	return l, int(f.Fd())
}

// mapped is a copy of p that the kernel may be given.
func mapped(t testing.TB, p []byte) []byte {
	t.Helper()
	m, err := Map(len(p))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Unmap(m) })
	return m[:copy(m, p)]
}

// serve accepts and echoes on ring until clients connections have come and gone. It is the smallest server that shows
// the operations together: user data 0 is the listener, and of a connection its descriptor.
func serve(t *testing.T, r *Ring, b *Buffers, l, clients int) {
	t.Helper()
	r.Next().AcceptMultishot(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	for deadline := time.Now().Add(20 * time.Second); clients > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d clients are still there", clients)
		}
		if err := r.Wait(1, time.Second); err != nil {
			t.Fatal(err)
		}
		for c := range r.Completions {
			fd := int(c.UserData)
			switch {
			case fd == 0 && c.Res >= 0:
				r.Next().RecvMultishot(int(c.Res), b, uint64(c.Res))
			case c.Res > 0:
				for p := range b.Received(c) {
					if _, err := unix.Write(fd, p); err != nil {
						t.Error(err)
					}
				}
				b.Release(c)
				if !c.More() {
					r.Next().RecvMultishot(fd, b, c.UserData)
				}
			case c.Err() == unix.ENOBUFS:
				r.Next().RecvMultishot(fd, b, c.UserData)
			case c.Res == 0 && fd != 0:
				unix.Close(fd)
				clients--
			default:
				t.Fatalf("%+v: %v", c, c.Err())
			}
		}
	}
}

func TestMultishotAcceptAndReceiveServePython(t *testing.T) {
	python := peer(t, "python3")
	const clients = 50
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Flags: flags}, MultishotAccept, MultishotRecv, BufferRing)
			b, err := r.NewBuffers(0, 8, 1000, Whole)
			if err != nil {
				t.Fatal(err)
			}
			l, fd := listen(t)
			client := exec.Command(python, "-c", fmt.Sprintf(`
import os, socket
for _ in range(%d):
    s = socket.create_connection(("127.0.0.1", %d))
    out = os.urandom(5000)
    s.sendall(out)
    s.shutdown(socket.SHUT_WR)
    got = b"".join(iter(lambda: s.recv(4096), b""))
    assert got == out, (len(got), len(out))
    s.close()
`, clients, l.Addr().(*net.TCPAddr).Port))
			client.Stderr = os.Stderr
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			serve(t, r, b, fd, clients)
			if err := client.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestConnect(t *testing.T) {
	r := newRing(t, Config{}, SocketOperations)
	l, _ := listen(t)
	dial := func(port int) CQE {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		sa := mapped(t, make([]byte, unix.SizeofSockaddrInet4))
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(&sa[0])) = unix.RawSockaddrInet4{
			Family: unix.AF_INET, Port: bigEndian(port), Addr: [4]byte{127, 0, 0, 1},
		}
		r.Next().Connect(fd, unsafe.Pointer(&sa[0]), unix.SizeofSockaddrInet4, 1)
		return await(t, r, 1)[0]
	}
	port := l.Addr().(*net.TCPAddr).Port
	if c := dial(port); c.Err() != nil {
		t.Fatal(c.Err())
	}
	// Bound, so that it is nobody else's, and not listening.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if c := dial(name.(*unix.SockaddrInet4).Port); c.Err() != unix.ECONNREFUSED {
		t.Fatalf("%+v: %v", c, c.Err())
	}
}

func bigEndian(port int) uint16 {
	b := [2]byte{byte(port >> 8), byte(port)}
	return *(*uint16)(unsafe.Pointer(&b))
}

// A send that may not wait is settled when the entering call returns: it says nothing (Quiet) when all was sent, and else
// how much.
func TestSendIsSettledWhenSubmitReturns(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Flags: flags}, SocketOperations, SkipSuccess)
			fd, peer := pair(t)
			p := mapped(t, bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
			const dontWait = unix.MSG_DONTWAIT | unix.MSG_WAITALL
			send := func(p []byte) (told bool, c CQE) {
				e := r.Next()
				e.Send(fd, p, dontWait, 1)
				e.Quiet()
				if err := r.Submit(); err != nil {
					t.Fatal(err)
				}
				for c = range r.Completions {
					told = true
				}
				return told, c
			}
			if told, c := send(p[:100]); told {
				t.Fatalf("whole send: %+v", c)
			}
			told, c := send(p)
			if !told || c.Res <= 0 || int(c.Res) >= len(p) {
				t.Fatalf("part of a send: told %v, %+v", told, c)
			}
			part := int(c.Res)
			if told, c := send(p); !told || c.Err() != unix.EAGAIN {
				t.Fatalf("send to a full socket: told %v, %+v", told, c)
			}
			got := make([]byte, 100+part)
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got[:100], p[:100]) || !bytes.Equal(got[100:], p[:part]) {
				t.Fatalf("peer got other bytes, %v", err)
			}
			peer.Close()
			if told, c := send(p[:1]); !told || c.Err() != unix.EPIPE {
				t.Fatalf("send to nobody: told %v, %+v", told, c)
			}
		})
	}
}

func TestSendWaitsForRoom(t *testing.T) {
	r := newRing(t, Config{Flags: deferred}, SocketOperations)
	fd, peer := pair(t)
	p := mapped(t, bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	r.Next().Send(fd, p, unix.MSG_WAITALL, 1)
	if err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte)
	go func() {
		b := make([]byte, len(p))
		io.ReadFull(peer, b)
		got <- b
	}()
	if c := await(t, r, 1)[0]; int(c.Res) != len(p) {
		t.Fatalf("sent %d of %d", c.Res, len(p))
	}
	if !bytes.Equal(<-got, p) {
		t.Fatal("the peer got other bytes")
	}
}

func TestSendMsgGathers(t *testing.T) {
	r := newRing(t, Config{}, SocketOperations)
	fd, peer := pair(t)
	m := mapped(t, make([]byte, 4096))
	words := []string{"several ", "queued ", "writes"}
	header := (*unix.Msghdr)(unsafe.Pointer(&m[0]))
	vectors := unsafe.Slice((*unix.Iovec)(unsafe.Pointer(&m[512])), len(words))
	at := 1024
	for i, w := range words {
		n := copy(m[at:], w)
		vectors[i].Base = &m[at]
		vectors[i].SetLen(n)
		at += n
	}
	header.Iov = &vectors[0]
	header.SetIovlen(len(words))
	r.Next().SendMsg(fd, header, 0, 1)
	if err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	clear(m[:1024]) // header and vectors are free now
	const want = "several queued writes"
	if c := await(t, r, 1)[0]; int(c.Res) != len(want) {
		t.Fatalf("%+v", c)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestZeroCopySendTellsWhenItsMemoryIsFree(t *testing.T) {
	r := newRing(t, Config{Flags: deferred}, SendZeroCopy)
	l, _ := listen(t)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p := mapped(t, bytes.Repeat([]byte("zero"), 1000))
	r.Next().SendZC(int(f.Fd()), p, 0, 1)
	if err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(p))
	if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, p) {
		t.Fatal("the peer got other bytes", err)
	}
	c := await(t, r, 2)
	if int(c[0].Res) != len(p) || !c[0].More() || c[1].Flags&IORING_CQE_F_NOTIF == 0 || c[1].More() {
		t.Fatalf("%+v", c)
	}
}

func TestCancelIsCompleteWithTheLastCompletion(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Flags: flags}, MultishotRecv, CancelFD)
			b, err := r.NewBuffers(0, 4, 4096, Whole)
			if err != nil {
				t.Fatal(err)
			}
			// The kernel gives the lowest free descriptor: each round's is that of the last. A completion of an old round
			// would show by its user data.
			for round := uint64(1); round <= 2000; round++ {
				p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				r.Next().RecvMultishot(p[0], b, round)
				if round%3 == 0 {
					unix.Write(p[1], []byte("in flight"))
				}
				if round%2 == 0 {
					if err := r.Submit(); err != nil {
						t.Fatal(err)
					}
				}
				const cancel = 1 << 32
				if round%5 == 0 {
					r.Next().Cancel(round, cancel|round)
				} else {
					r.Next().CancelFD(p[0], cancel|round)
				}
				for over, cancelled := false, false; !over || !cancelled; {
					for _, c := range await(t, r, 1) {
						b.Bytes(c)
						b.Release(c)
						switch {
						case c.UserData == cancel|round:
							cancelled = true
						case c.UserData != round:
							t.Fatalf("round %d got a completion of %d", round, c.UserData)
						case !c.More():
							over = true
							if c.Err() != unix.ECANCELED {
								t.Fatalf("round %d ended with %+v", round, c)
							}
						}
					}
				}
				unix.Close(p[0])
				unix.Close(p[1])
			}
		})
	}
}

func TestPollMultishotTellsOfEachChange(t *testing.T) {
	r := newRing(t, Config{Flags: deferred}, SocketOperations)
	fd, peer := pair(t)
	r.Next().PollMultishot(fd, unix.POLLIN, 1)
	for range 3 {
		if err := r.Submit(); err != nil {
			t.Fatal(err)
		}
		peer.Write([]byte("x"))
		if c := await(t, r, 1)[0]; !c.More() || c.Res&unix.POLLIN == 0 {
			t.Fatalf("%+v", c)
		}
		unix.Read(fd, make([]byte, 8))
	}
}

func TestMessageReachesAnotherRing(t *testing.T) {
	a := newRing(t, Config{}, MessageRing)
	b := newRing(t, Config{})
	a.Next().Message(b.FD(), 42, 7, 1)
	if c := await(t, a, 1)[0]; c.UserData != 1 || c.Err() != nil {
		t.Fatalf("sender: %+v", c)
	}
	if c := await(t, b, 1)[0]; c.UserData != 7 || c.Res != 42 {
		t.Fatalf("receiver: %+v", c)
	}
}

func TestShutdownAndClose(t *testing.T) {
	r := newRing(t, Config{Flags: deferred}, SocketOperations)
	fd, peer := pair(t)
	dup, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	r.Next().Shutdown(dup, unix.SHUT_WR, 1)
	if c := await(t, r, 1)[0]; c.Err() != nil {
		t.Fatal(c.Err())
	}
	if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read %d, %v after the shutdown", n, err)
	}
	r.Next().Close(dup, 2)
	if c := await(t, r, 1)[0]; c.Err() != nil {
		t.Fatal(c.Err())
	}
	if err := unix.Close(dup); err != unix.EBADF {
		t.Fatalf("close after Close: %v", err)
	}
}
