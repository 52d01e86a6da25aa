package scenarios

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A callback of the tls.Config that waits holds neither the loop nor other handshakes.
func TestSlowCallbackHoldsItsHandshakeOnly(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops = 1
		s.Accept = everyone(echo)
		entered, release := make(chan bool, 10), make(chan bool)
		s.TLSConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if hello.ServerName == "slow.example" {
				entered <- true
				<-release
			}
			return nil, nil
		}
		address := start(t, s)
		there := call(t, address)
		slow := clientTLS()
		slow.ServerName, slow.InsecureSkipVerify = "slow.example", true
		var slowOnes sync.WaitGroup
		for range 5 {
			p := reach(t, address, net.Dialer{})
			slowOnes.Go(func() {
				p := p.secures(slow)
				p.says("at last")
				p.hears("at last")
			})
		}
		for range 5 {
			next(t, entered)
		}
		there.says("still served")
		there.hears("still served")
		p := call(t, address)
		p.says("served as well")
		p.hears("served as well")
		close(release)
		slowOnes.Wait()
	})
}

// More clients than places, with all places held by clients that do not go on: each who comes later is served, and so are
// those who do go on.
func TestStalledClientsGiveWay(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops, s.Handshakes = 1, 3
		s.Accept = everyone(echo)
		why := refusals(s)
		address := start(t, s)
		for range 10 {
			helloOnly(reach(t, address, net.Dialer{}))
		}
		for range 10 {
			p := call(t, address)
			p.says("served")
			p.hears("served")
		}
		for range 8 { // the last two have their places still
			next(t, why)
		}
		stays(t, "nobody else was refused", func() bool { return len(why) == 0 && s.Stats().Active == 12 })
	})
}

// A flood of handshakes has a bounded number of goroutines, and everyone is served.
func TestFloodOfHandshakesIsServedInBounds(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops, s.Handshakes = 2, 4
		s.Accept = everyone(echo)
		address := start(t, s)
		const clients = 200
		var raw []net.Conn
		for range clients {
			raw = append(raw, reach(t, address, net.Dialer{}).Conn)
		}
		hello := clientHello()
		ours := runtime.NumGoroutine()
		most := 0
		for _, c := range raw { // all say hello, and nobody goes on but the last
			io.WriteString(c, hello)
			most = max(most, runtime.NumGoroutine()-ours)
		}
		eventually(t, "all but those that may have given way", func() bool { return s.Stats().HandshakeFailures >= clients-2*4 })
		p := call(t, address) // before, a later one could have it give way
		p.says("served")
		p.hears("served")
		most = max(most, runtime.NumGoroutine()-ours)
		if most > clients/4 { // those that gave way may not have ended yet
			t.Errorf("%d goroutines shook hands", most)
		}
		settles(t, "no more shake hands than may", func() bool { return runtime.NumGoroutine()-ours <= 2*4 })
	})
}

func TestShutdownServesWhoHasSaidHello(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops = 1
		s.Accept = everyone(echo)
		entered, release := make(chan bool, 10), make(chan bool)
		s.TLSConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			entered <- true
			<-release
			return nil, nil
		}
		address := start(t, s)
		silent := reach(t, address, net.Dialer{})
		late := reach(t, address, net.Dialer{})
		heard := make(chan bool)
		go func() {
			wire := &tapped{Conn: late.Conn}
			wire.read = func([]byte) { wire.hold = true }
			p := peer{wire, t}.secures(clientTLS())
			p.says("x") // together with the last of its handshake
			wire.release()
			p.hearsEnd("x")
			p.Close()
			close(heard)
		}()
		next(t, entered)
		done := make(chan bool)
		go func() {
			shutdown(t, s)
			close(done)
		}()
		io.Copy(io.Discard, silent) // who has said nothing is let go
		stays(t, "the server waits", func() bool { return len(heard) == 0 && len(done) == 0 })
		close(release)
		next(t, heard)
		next(t, done)
	})
}

func TestCloseEndsHandshakes(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		address := start(t, s)
		reach(t, address, net.Dialer{})
		helloOnly(reach(t, address, net.Dialer{}))
		eventually(t, "both are there", func() bool { return s.Stats().Active == 2 })
		s.Close()
		eventually(t, "both are gone", func() bool { return s.Stats().Active == 0 })
	})
}

// Idleness is the handler's connection's: a handshake has a timeout of its own.
func TestIdleTimeoutOverTLSBeginsWithTheConnection(t *testing.T) {
	overTLS(t, func(t *testing.T, s *switchboard.Server) {
		s.IdleTimeout = 50 * time.Millisecond
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		address := start(t, s)
		silent := reach(t, address, net.Dialer{})
		p := call(t, address)
		p.hearsEnd("") // with a close_notify
		p.Close()      // else the server lingers
		if err := next(t, h.ended); err != switchboard.ErrIdle {
			t.Errorf("ended with %v", err)
		}
		silent.secures(clientTLS()).says("in time for its handshake")
	})
}
