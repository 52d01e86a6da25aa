//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenerIsReadableWhenSomebodyConnects(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		l, address := listener(t)
		register(t, s, l, Read, nil)
		selects(t, s, 0)
		c, err := net.Dial("tcp", address)
		must(t, err)
		defer c.Close()
		selects(t, s, -1, Ready{Key{l, Read, nil}, Read})
	})
}

func listener(t testing.TB) (fd int, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return int(f.Fd()), l.Addr().String()
}

func TestConnectingSocketIsWritableWhenConnected(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		l, _ := listener(t)
		address, err := unix.Getsockname(l)
		must(t, err)
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		must(t, err)
		owned(t, c)
		must(t, unix.SetNonblock(c, true))
		if err := unix.Connect(c, address); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		register(t, s, c, Write, nil)
		selects(t, s, -1, Ready{Key{c, Write, nil}, Write})
		if pending, err := unix.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR); pending != 0 || err != nil {
			t.Errorf("connected with %v, %v", pending, err)
		}
	})
}

func TestFullSocketIsNotWritableUntilThePeerReads(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := pair(t)
		owned(t, a, b)
		register(t, s, a, Write, nil)
		selects(t, s, 0, Ready{Key{a, Write, nil}, Write})
		fill(t, a)
		selects(t, s, 0)
		done := waits(s)
		drain(t, b)
		if got := <-done; len(got.ready) != 1 || got.ready[0].Events != Write {
			t.Errorf("drained: %v", got)
		}
	})
}

func TestEndOfStreamIsReadable(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		client, server := tcp(t)
		owned(t, client, server)
		register(t, s, server, Read, nil)
		must(t, unix.Shutdown(client, unix.SHUT_WR))
		selects(t, s, -1, Ready{Key{server, Read, nil}, Read})
		if n, err := unix.Read(server, one[:]); n != 0 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
}

// The error is for the caller's next call to find, whichever that is.
func TestErrorsEndWhateverIsWaitedFor(t *testing.T) {
	for _, ev := range []Events{Read, Write, Read | Write} {
		t.Run(ev.String(), func(t *testing.T) {
			each(t, func(t *testing.T, s *Selector) {
				client, server := tcp(t)
				owned(t, server)
				must(t, unix.SetsockoptLinger(client, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
				unix.Close(client) // resets
				settle(t, server, unix.POLLERR)
				register(t, s, server, ev, nil)
				selects(t, s, -1, Ready{Key{server, ev, nil}, ev})
				if _, err := unix.Read(server, one[:]); err != unix.ECONNRESET {
					t.Errorf("read: %v", err)
				}
			})
		})
	}
}

func TestPipeEndsAreReadyWhenTheOtherEndIsGone(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := pipe(t)
		owned(t, r)
		register(t, s, r, Read, nil)
		unix.Close(w)
		selects(t, s, -1, Ready{Key{r, Read, nil}, Read})
		_, err := s.Unregister(r)
		must(t, err)

		r, w = pipe(t)
		owned(t, w)
		fill(t, w)
		register(t, s, w, Write, nil)
		selects(t, s, 0)
		unix.Close(r)
		selects(t, s, -1, Ready{Key{w, Write, nil}, Write})
	})
}

func TestUrgentDataIsExceptional(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		client, server := tcp(t)
		owned(t, client, server)
		ev := Read | Except&s.excepts()
		if s.excepts() == 0 {
			if err := s.Register(server, Read|Except, nil); err == nil {
				t.Fatal("took Except, which it cannot tell of")
			}
			t.Skip("this kqueue tells nothing of urgent data")
		}
		register(t, s, server, ev, nil)
		write(t, client, "a")
		selects(t, s, -1, Ready{Key{server, ev, nil}, Read})
		unix.Read(server, one[:])
		must(t, unix.Send(client, []byte("!"), unix.MSG_OOB))
		must(t, s.Modify(server, Except, nil))
		selects(t, s, -1, Ready{Key{server, Except, nil}, Except})
		if n, _, err := unix.Recvfrom(server, one[:], unix.MSG_OOB); n != 1 || err != nil || one[0] != '!' {
			t.Errorf("urgent byte: %d, %v, %q", n, err, one[0])
		}
		selects(t, s, 0)
	})
}
