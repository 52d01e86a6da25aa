package scenarios

import (
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// accepted serves with h and passes on each connection once its peer has said something.
func accepted(s *switchboard.Server, h switchboard.Handler) <-chan *switchboard.Conn {
	conns := make(chan *switchboard.Conn, 1000)
	s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
		conns <- c
		return h, nil
	}
	return conns
}

func TestConnKnowsBothAddresses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			address, _ := serveAt(t, s, at)
			p := call(t, address)
			c := next(t, conns)
			if got, want := c.RemoteAddr().String(), p.LocalAddr().String(); got != want {
				t.Errorf("RemoteAddr is %s, want %s", got, want)
			}
			if got := c.LocalAddr().String(); got != address {
				t.Errorf("LocalAddr is %s, want %s", got, address)
			}
			remote := c.RemoteAddr().String()
			p.resets()
			eventually(t, "it is gone", func() bool { return c.LocalAddr() == nil })
			if got := c.RemoteAddr().String(); got != remote {
				t.Errorf("RemoteAddr is %s once it is gone, want %s", got, remote)
			}
		}
	})
}

func TestConnOfAUnixSocketKnowsItsPath(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		path, _ := serveAt(t, s, filepath.Join(t.TempDir(), "s"))
		call(t, path)
		c := next(t, conns)
		if got := c.LocalAddr(); got.Network() != "unix" || got.String() != path {
			t.Errorf("LocalAddr is %v %v", got.Network(), got)
		}
		if got := c.RemoteAddr(); got.Network() != "unix" || got.String() != "" {
			t.Errorf("RemoteAddr is %v %q", got.Network(), got)
		}
	})
}

func TestConnCountsItsBytesAndItsAge(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		began := time.Now()
		conns := accepted(s, switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Writev([]byte("you said: "), p)
			return len(p), nil
		}))
		p := call(t, start(t, s))
		p.says("hello")
		p.hears("you said: hello")
		c := next(t, conns)
		if c.Received() != 5 || c.Sent() != 15 || c.Queued() != 0 || c.Full() {
			t.Errorf("received %d, sent %d, queued %d, full %v", c.Received(), c.Sent(), c.Queued(), c.Full())
		}
		eventually(t, "it has an age", func() bool { return c.Age() > 0 })
		if c.Age() > time.Since(began) {
			t.Errorf("%v old after %v", c.Age(), time.Since(began))
		}
	})
}

func TestConnHasAPlaceForTheUsersOwn(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			if c.Value() != nil {
				t.Errorf("begins with %v", c.Value())
			}
			c.SetValue(c.RemoteAddr().String())
			return switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
				c.Write([]byte(c.Value().(string)))
				return len(p), nil
			}), nil
		}
		address := start(t, s)
		for range 3 {
			p := call(t, address)
			p.says("who am I?")
			p.hears(p.LocalAddr().String())
		}
	})
}

func TestLongLivedConnectionsAreSpreadEvenly(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops = 4
		s.Accept = everyone(echo)
		address := start(t, s)
		call(t, address) // what the loops are is known from the first connection on
		byLoop := func() (n []int64) {
			for _, l := range s.Stats().Loops {
				n = append(n, l.Active)
			}
			return n
		}
		var peers []peer
		fill := func(n int) {
			for range n {
				peers = append(peers, call(t, address))
			}
		}
		fill(99)
		even := func() bool { return slices.Equal(byLoop(), []int64{25, 25, 25, 25}) }
		eventually(t, "25 connections are on each of 4 loops", even)

		// Some go, from whatever loops, and those that come make up for it.
		for _, i := range rand.Perm(len(peers))[:40] {
			peers[i].resets()
		}
		eventually(t, "40 are gone", func() bool { return s.Stats().Active == 60 })
		fill(40)
		eventually(t, "the loops are even again", even)
	})
}

func TestOneServerServesManyListeners(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		addresses := []string{}
		for _, at := range []string{"127.0.0.1:0", "[::1]:0", filepath.Join(t.TempDir(), "s"), "127.0.0.1:0"} {
			if filepath.IsAbs(at) && !hasUnix() {
				continue
			}
			address, _ := serveAt(t, s, at)
			addresses = append(addresses, address)
		}
		for _, foreign := range []string{"tcp", "unix"} {
			if foreign == "unix" && !hasUnix() {
				continue
			}
			at := map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "foreign")}[foreign]
			l, err := net.Listen(foreign, at)
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error)
			go func() { served <- s.Serve(l) }()
			t.Cleanup(func() {
				stop(s)
				if err := next(t, served); err != switchboard.ErrServerClosed {
					t.Error(err)
				}
			})
			addresses = append(addresses, l.Addr().String())
		}
		for _, address := range addresses {
			p := call(t, address)
			p.says("hello")
			p.hears("hello")
		}
	})
}
