package selector

import (
	"net"
	"runtime"
	"testing"

	"github.com/switchboard-go/switchboard/internal/testsocket"
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

func TestConnectingSocketIsWritableWhenConnected(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		l, _ := listener(t)
		c := testsocket.Connecting(t, l)
		owned(t, c)
		register(t, s, c, Write, nil)
		selects(t, s, -1, Ready{Key{c, Write, nil}, Write})
		if err := testsocket.Error(c); err != nil {
			t.Errorf("connected with %v", err)
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
		must(t, testsocket.ShutdownWrite(client))
		selects(t, s, -1, Ready{Key{server, Read, nil}, Read})
		if n, err := testsocket.Read(server, one[:]); n != 0 || err != nil {
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
				must(t, testsocket.Reset(client))
				settle(t, server, pollErr)
				register(t, s, server, ev, nil)
				selects(t, s, -1, Ready{Key{server, ev, nil}, ev})
				if _, err := testsocket.Read(server, one[:]); err != testsocket.ErrReset {
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
		testsocket.Close(w)
		selects(t, s, -1, Ready{Key{r, Read, nil}, Read})
		_, err := s.Unregister(r)
		must(t, err)

		if s.Mechanism() == "select" && runtime.GOOS == "windows" {
			t.Skip("Winsock's select has no list in which a reset would end the wait for room")
		}
		r, w = pipe(t)
		owned(t, w)
		fill(t, w)
		register(t, s, w, Write, nil)
		selects(t, s, 0)
		testsocket.Close(r)
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
		testsocket.Read(server, one[:])
		must(t, testsocket.SendUrgent(client, '!'))
		must(t, s.Modify(server, Except, nil))
		for range 3 {
			selects(t, s, -1, Ready{Key{server, Except, nil}, Except})
		}
		if b, err := testsocket.ReadUrgent(server); b != '!' || err != nil {
			t.Errorf("urgent byte: %q, %v", b, err)
		}
		for range 2 {
			selects(t, s, 0)
		}
		must(t, testsocket.SendUrgent(client, '?')) // the next is not overlooked
		selects(t, s, -1, Ready{Key{server, Except, nil}, Except})
	})
}
