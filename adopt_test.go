package switchboard

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// adopted is a handler that says hello, and echoes.
type adopted struct{ DataFunc }

func (adopted) Opened(c *Conn) error {
	c.Write([]byte("hello "))
	return nil
}

func TestAdoptedConnectionsAreServedLikeDialledOnes(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		if network == "unix" && !systest.HasUnix() {
			continue
		}
		address := "127.0.0.1:0"
		if network == "unix" {
			address = t.TempDir() + "/s.sock"
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		peer, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{}
		defer s.Close()
		want := nc.RemoteAddr().String()
		c, err := s.Adopt(nc, []byte("ahead "), nil, adopted{DataFunc((*Conn).Write)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: what was adopted is still open: %v", network, err)
		}
		peer.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(peer, "and after")
		got := make([]byte, len("hello ahead and after"))
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "hello ahead and after" {
			t.Errorf("%s: %q, %v", network, got, err)
		}
		if c.RemoteAddr().String() != want {
			t.Errorf("%s: the peer is %v, want %s", network, c.RemoteAddr(), want)
		}
		c.Close()
		if _, err := peer.Read(got); err != io.EOF {
			t.Errorf("%s: %v", network, err)
		}
	}
}

func TestAdoptSpeaksTLS(t *testing.T) {
	own, err := certs.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		p := make([]byte, 6)
		io.ReadFull(c, p)
		heard <- string(p)
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{}
	defer s.Close()
	if _, err := s.Adopt(nc, nil, &tls.Config{InsecureSkipVerify: true}, adopted{DataFunc((*Conn).Write)}); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "hello " {
		t.Errorf("%q", got)
	}
}

func TestWhatCannotBeAdoptedStaysItsOwners(t *testing.T) {
	s := &Server{}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := s.Adopt(a, nil, nil, adopted{}); err == nil {
		t.Error("a pipe has no descriptor")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := s.Adopt(nc, nil, nil, nil); err == nil {
		t.Error("nobody to serve it")
	}
	if _, err := s.Adopt(nc, []byte("x"), &tls.Config{ServerName: "x"}, adopted{}); err == nil {
		t.Error("bytes ahead of a TLS handshake")
	}
	if _, err := s.Adopt(nc, nil, &tls.Config{}, adopted{}); err == nil {
		t.Error("nobody to verify")
	}
	s.Close()
	if _, err := s.Adopt(nc, nil, nil, adopted{}); !errors.Is(err, ErrServerClosed) {
		t.Errorf("a closed server: %v", err)
	}
	if _, err := nc.Write([]byte("still mine")); err != nil {
		t.Error(err)
	}
}

// A loop may end when a connection is on its way to it.
func TestAdoptGivesBackWhatItsLoopDoesNotTake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s := &Server{Loops: 1}
	defer s.Close()
	loops, err := s.run()
	if err != nil {
		t.Fatal(err)
	}
	loops[0].give(task{f: loops[0].stop})
	<-loops[0].done
	if _, err := s.Adopt(nc, nil, nil, adopted{}); !errors.Is(err, ErrServerClosed) {
		t.Errorf("a loop that has ended: %v", err)
	}
	if n, m := s.active.Load(), loops[0].active.Load(); n != 0 || m != 0 {
		t.Errorf("%d and %d connections are counted", n, m)
	}
	for _, o := range s.originStats() {
		if o.Conns != (ConnStates{}) {
			t.Errorf("%+v are counted", o.Conns)
		}
	}
	if _, err := nc.Write([]byte("still mine")); err != nil {
		t.Error(err)
	}
}
