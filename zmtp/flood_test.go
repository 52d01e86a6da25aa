package zmtp_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

// transcript returns what a client with the options o sends to a server up to the end of its handshake.
func transcript(t *testing.T, at string, o zmtp.Options) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ready := make(chan struct{})
	o.Monitor = func(e zmtp.Event) {
		if e.Kind == zmtp.Ready {
			close(ready)
		}
	}
	client := socketOf(t, newContext(t), zmtp.REQ, &o)
	connect(t, client, "tcp://"+l.Addr().String())
	in, err1 := l.Accept()
	out, err2 := net.Dial("tcp", at)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	var said bytes.Buffer
	var both sync.WaitGroup
	both.Go(func() { io.Copy(io.MultiWriter(out, &said), in); out.Close() })
	both.Go(func() { io.Copy(in, out); in.Close() })
	<-ready
	client.Close()
	both.Wait()
	return said.Bytes()
}

// A handshakeFlood is what one connection of a stranger does.
type handshakeFlood struct {
	name string
	says func(good []byte) []byte
	hold bool // it stays until the server ends it
}

// helloEnd is where the greeting and the HELLO of CURVE end in what a client says.
const helloEnd = 64 + 2 + 200

var handshakeFloods = []handshakeFlood{
	{name: "says nothing", says: func([]byte) []byte { return nil }, hold: true},
	{name: "greets", says: func(good []byte) []byte { return good[:64] }, hold: true},
	{name: "begins as another did", says: func(good []byte) []byte { return good[:min(helloEnd, len(good)-1)] }, hold: true},
	{name: "says all that another said", says: func(good []byte) []byte { return good }},
	{name: "is cut off", says: func(good []byte) []byte { return good[:rand.IntN(len(good))] }},
	{name: "has wrong keys", says: func(good []byte) []byte {
		b := slices.Clone(good)
		for i := 64 + 2 + 6 + 2 + 72; i < min(helloEnd, len(b)); i++ {
			b[i] = byte(rand.Int())
		}
		return b
	}},
	{name: "is garbled", says: func(good []byte) []byte {
		b := slices.Clone(good)
		b[rand.IntN(len(b))] ^= byte(1 + rand.IntN(255))
		return b
	}},
	{name: "goes on with garbage", says: func(good []byte) []byte {
		b := append(slices.Clone(good[:rand.IntN(len(good))]), make([]byte, 300)...)
		for i := len(b) - 300; i < len(b); i++ {
			b[i] = byte(rand.Int())
		}
		return b
	}},
}

// Strangers who flood a server with handshakes get no peer, and keep nobody from talking nor, where places are limited, from
// connecting.
func TestHandshakeFloods(t *testing.T) {
	for _, sec := range securities(t)[1:] {
		t.Run(sec.name, func(t *testing.T) {
			t.Parallel()
			const places = 40
			o := sec.ours(true)
			o.MaxPeers = places
			c := newContext(t)
			c.Loops = 1 // for all
			server := socketOf(t, c, zmtp.REP, &o)
			at := strings.TrimPrefix(bind(t, server, "tcp://127.0.0.1:*"), "tcp://")
			o = sec.ours(false)
			good := transcript(t, at, o)
			client := socketOf(t, newContext(t), zmtp.REQ, &o)
			connect(t, client, "tcp://"+at)
			go func() {
				for {
					m, err := server.Recv()
					if err != nil || server.Send(m...) != nil {
						return
					}
				}
			}()
			exchange := func(s *zmtp.Socket) time.Duration {
				t.Helper()
				s.SetDeadline(time.Now().Add(patience))
				begin := time.Now()
				send(t, s, "question")
				expect(t, s, "question")
				return time.Since(begin)
			}
			exchange(client)

			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			var strangers sync.WaitGroup
			for _, flood := range handshakeFloods {
				for range 4 {
					strangers.Go(func() {
						for ctx.Err() == nil {
							flood.run(ctx, at, good)
						}
					})
				}
			}
			var took []time.Duration
			for ctx.Err() == nil {
				took = append(took, exchange(client))
			}
			slices.Sort(took)
			late := socketOf(t, newContext(t), zmtp.REQ, &o)
			again, stop := context.WithCancel(t.Context())
			defer stop()
			for range 4 * places { // all places, and many more, are taken by those who do not go on
				strangers.Go(func() { handshakeFloods[1].run(again, at, good) })
			}
			connect(t, late, "tcp://"+at)
			t.Logf("%d exchanges during the floods: p50 %v, at most %v; with a new connection %v", len(took), took[len(took)/2], took[len(took)-1], exchange(late))
			stop()
			strangers.Wait()
			eventually(t, "only the good ones stay", func() bool { return server.Stats().Peers == 2 })
		})
	}
}

// run is one connection.
func (f handshakeFlood) run(ctx context.Context, at string, good []byte) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	conn.Write(f.says(good))
	if f.hold {
		io.Copy(io.Discard, conn)
	}
}
