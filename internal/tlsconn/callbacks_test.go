package tlsconn_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

var errInCallback = errors.New("in a callback")

// Whatever a callback does ends its handshake, with an error that says what it was.
func TestCallbacksThatPanicEndTheirHandshakeOnly(t *testing.T) {
	for name, fails := range map[string]func(){
		"panic":   func() { panic(errInCallback) },
		"Goexit":  runtime.Goexit,
		"nothing": nil,
	} {
		server, client := serverConfig(tls.VersionTLS13), clientConfig(tls.VersionTLS13)
		if fails != nil {
			server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { fails(); return nil, nil }
			client.VerifyConnection = func(tls.ConnectionState) error { fails(); return nil }
		}
		for side, with := range map[string]func(t *testing.T) (*owner, *peer){
			"server": func(t *testing.T) (*owner, *peer) { return serverWith(t, server, clientConfig(0), whole, echoes) },
			"client": func(t *testing.T) (*owner, *peer) { return clientWith(t, client, serverConfig(0), whole, echoes) },
		} {
			t.Run(name+" of a "+side, func(t *testing.T) {
				leavesNothing(t)
				o, p := with(t)
				err := o.handshake()
				panicked := new(tlsconn.PanicError)
				switch {
				case fails == nil:
					if err != nil {
						t.Fatal(err)
					}
				case !errors.As(err, &panicked), !strings.Contains(string(panicked.Stack), "callbacks_test.go"):
					t.Errorf("it ended with %v", err)
				case name == "panic" && !errors.Is(err, errInCallback), name == "Goexit" && panicked.Value != nil:
					t.Errorf("the value is %v", panicked.Value)
				}
				o.wire.Close()
				next(t, p.ended)
			})
		}
	}
}

// A sessionCache panics.
type sessionCache struct{ tls.ClientSessionCache }

func (sessionCache) Put(string, *tls.ClientSessionState) { panic(errInCallback) }

// A session ticket comes after the handshake, in the owner's own call.
func TestSessionCacheThatPanicsIsAnErrorOfDecrypt(t *testing.T) {
	leavesNothing(t)
	client := clientConfig(tls.VersionTLS13)
	client.ClientSessionCache = sessionCache{tls.NewLRUClientSessionCache(1)}
	o, p := clientWith(t, client, serverConfig(tls.VersionTLS13), whole, func(c *tls.Conn) error {
		_, err := io.WriteString(c, "x")
		return err
	})
	o.shakes()
	_, err := o.read()
	if panicked := new(tlsconn.PanicError); !errors.As(err, &panicked) || !errors.Is(err, errInCallback) || !o.c.Spoilt() {
		t.Errorf("Decrypt said %v", err)
	}
	o.wire.Close()
	next(t, p.ended)
}

// A callback that waits holds its step, and is told of Cancel by its context.
func TestCancelEndsAHandshakeInACallback(t *testing.T) {
	leavesNothing(t)
	entered := make(chan context.Context, 1)
	server := serverConfig(tls.VersionTLS13)
	server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		entered <- hello.Context()
		<-hello.Context().Done()
		return nil, hello.Context().Err()
	}
	here, _ := wires(t)
	c := tlsconn.Server(server, here)
	done := make(chan bool, 2)
	c.Step(clientHello(t, clientConfig(0)), func() { done <- true })
	next(t, entered)
	if len(done) > 0 {
		t.Fatal("the step is over")
	}
	c.Cancel()
	next(t, done)
	if over, err := c.Handshaken(); !over || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", over, err)
	}
}

// Between steps Cancel ends the goroutine, and calls nothing.
func TestCancelEndsAHandshakeThatWaits(t *testing.T) {
	leavesNothing(t)
	here, _ := wires(t)
	tlsconn.Server(serverConfig(0), here).Cancel() // before it began
	calls := make(chan bool, 10)
	for range 100 {
		c := tlsconn.Server(serverConfig(0), here)
		c.Step(clientHello(t, clientConfig(0)), func() { calls <- true })
		next(t, calls)
		if over, err := c.Handshaken(); over || len(c.Output()) == 0 {
			t.Fatal(over, err)
		}
		c.Cancel()
	}
	if len(calls) > 0 {
		t.Error("done was called again")
	}
}

// A step that was asked for is over once, whether Cancel comes before its goroutine wakes or after.
func TestCancelOfAStepThatBeginsCallsItsDoneOnce(t *testing.T) {
	leavesNothing(t)
	here, _ := wires(t)
	hello := clientHello(t, clientConfig(0))
	for range 500 {
		c := tlsconn.Server(serverConfig(0), here)
		calls := make(chan bool, 10)
		done := func() { calls <- true }
		c.Step(hello, done)
		next(t, calls)
		c.Step([]byte{20, 3, 3, 0, 1, 1}, done) // all is well, and more is needed
		c.Cancel()
		next(t, calls)
		c.Handshaken()
		if len(calls) > 0 {
			t.Fatal("done was called twice")
		}
	}
}
