package websocket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
)

// Messages of 16 MiB, in fragments of every size that is worth a look, come back.
func TestVeryLargeMessages(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		const size = 16 << 20
		options := Options{MaxMessage: size}
		fragments := []int{64, 4096, 65535, 1 << 20, size}
		if raceEnabled {
			fragments = []int{4096, size}
		}
		address := serve(t, &Upgrader{Handler: echo, Options: options}, &switchboard.Server{Engine: engine, QueueLimit: size + 1<<20, Logger: quiet})
		message := bytes.Repeat([]byte("0123456789abcdeé"), size/17+1)[:size-1]
		for _, fragment := range fragments {
			r := dialRaw(t, address)
			go func() {
				var b bytes.Buffer
				for at := 0; at < len(message); at += fragment {
					first := byte(0x00)
					if at == 0 {
						first = 0x02
					}
					part := message[at:min(at+fragment, len(message))]
					if at+fragment >= len(message) {
						first |= bitFin
					}
					b.Write(frame(first, true, string(part)))
					if b.Len() > 1<<20 {
						r.conn.Write(b.Bytes())
						b.Reset()
					}
				}
				r.conn.Write(b.Bytes())
			}()
			h, p, err := r.frame()
			if err != nil || h.op != opBinary || p != string(message) {
				t.Fatalf("in fragments of %d: %d bytes came back, %v", fragment, len(p), err)
			}
			r.conn.Close()
		}
	})
}

// One byte more than the limit, announced or sent, in one frame or many, compressed or not, closes with its code.
func TestTheLimitOfMessagesIsExact(t *testing.T) {
	const limit = 100_000
	options := Options{MaxMessage: limit, Deflate: &Deflate{}}
	address := serve(t, &Upgrader{Handler: echo, Options: options}, nil)
	deflated := func(n int) []byte {
		z := deflation{6, maxWindowBits}.compress(bytes.Repeat([]byte("a"), n), nil)
		return frame(0xc2, true, string(z.B))
	}
	exact := strings.Repeat("a", limit)
	for name, c := range map[string]struct {
		say []byte
		ok  bool
	}{
		"exactly":           {frame(0x82, true, exact), true},
		"one more":          {frame(0x82, true, exact+"a"), false},
		"in two":            {join(frame(0x02, true, exact[:50]), frame(0x80, true, exact[50:])), true},
		"one more in two":   {join(frame(0x02, true, exact[:50]), frame(0x80, true, exact[49:])), false},
		"deflated":          {deflated(limit), true},
		"one more deflated": {deflated(limit + 1), false},
		"a bomb of 1:1000":  {deflated(limit * 1000), false},
	} {
		r := dialRaw(t, address, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
		r.write(c.say)
		if !c.ok {
			r.wantsClose(CodeTooBig)
			continue
		}
		h, p, err := r.frame()
		if err != nil || h.op != opBinary {
			t.Errorf("%s: opcode %d, %v", name, h.op, err)
			continue
		}
		if h.compressed {
			out, err := inflate([]byte(p), nil, limit, false)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			p = string(out.B)
		}
		if p != exact {
			t.Errorf("%s: %d bytes came back", name, len(p))
		}
	}
}

// A peer that does not read costs what the queue may hold, and nobody else waits for it.
func TestASlowReaderDisturbsNobody(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		s := &switchboard.Server{Engine: engine, Loops: 1, Logger: quiet}
		address := serve(t, &Upgrader{Handler: echo}, s)
		slow := dialRaw(t, address)
		go func() {
			m := frame(0x82, true, strings.Repeat("x", 60_000))
			for range 2000 {
				if _, err := slow.conn.Write(m); err != nil {
					return
				}
			}
		}()
		other := dialRaw(t, address)
		for i := range 200 {
			m := fmt.Sprint("message ", i)
			other.write(frame(0x81, true, m))
			other.wants(opText, m)
		}
		if queued := s.Stats().Queued; queued > 2<<20 {
			t.Errorf("%d bytes are queued", queued)
		}
		for range 50 { // and it is served when it reads
			if h, _, err := slow.frame(); err != nil || h.length != 60_000 {
				t.Fatal(h, err)
			}
		}
		slow.conn.Close()
	})
}

// Clients that come back all at once, again and again, find their server; nothing of those that went is left.
func TestThousandsReconnectAtOnce(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		var opened, closed atomic.Int64
		h := &counter{&opened, &closed}
		s := &switchboard.Server{Engine: engine, Logger: quiet}
		u := &Upgrader{Handler: h, Options: Options{PingInterval: time.Minute}}
		address := serve(t, u, s)
		const clients, rounds = 200, 3
		var group sync.WaitGroup
		for i := range clients {
			group.Go(func() {
				for round := range rounds {
					r := dialRaw(t, address)
					m := fmt.Sprint(i, " in round ", round)
					r.write(frame(0x81, true, m))
					if _, p, err := r.frame(); err != nil || p != m {
						t.Errorf("%q, %v", p, err)
					}
					if round%2 == 0 {
						r.write(frame(0x88, true, "\x03\xe8"))
						r.wantsClose(CodeNormal)
					}
					r.conn.Close()
				}
			})
		}
		group.Wait()
		for end := time.Now().Add(patience); closed.Load() < clients*rounds || s.Stats().Active > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d opened, %d closed, %d there", opened.Load(), closed.Load(), s.Stats().Active)
			}
		}
		for _, l := range u.settings.loops {
			for i, w := range l.lists {
				if w.first != nil || w.last != nil {
					t.Errorf("list %d is not empty", i)
				}
			}
		}
	})
}

type counter struct{ opened, closed *atomic.Int64 }

func (h *counter) Opened(*Conn) error { h.opened.Add(1); return nil }

func (h *counter) Message(c *Conn, kind Kind, p []byte) error { return c.Write(kind, p) }

func (h *counter) Closed(*Conn, error) { h.closed.Add(1) }

// A soak: clients of this package that send, wait, close and vanish as chance will have it, and every byte is compared.
func TestSoak(t *testing.T) {
	own, err := certs.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		for _, d := range []*Deflate{nil, {Threshold: 20, ContextTakeover: true}} {
			t.Run(fmt.Sprintf("tls %v, deflate %v", secure, d != nil), func(t *testing.T) {
				engines(t, func(t *testing.T, engine string) {
					server := &switchboard.Server{Engine: engine, Logger: quiet}
					scheme, config := "ws://", (*tls.Config)(nil)
					if secure {
						scheme, config = "wss://", &tls.Config{InsecureSkipVerify: true}
						server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{own}}
					}
					options := Options{Deflate: d, PingInterval: patience}
					address := serve(t, &Upgrader{Handler: echo, Options: options}, server)
					dialer := &Dialer{Server: loops(t, engine), Options: options, TLSConfig: config}
					var group sync.WaitGroup
					for i := range 8 {
						group.Go(func() { anything(t, dialer, scheme+address, uint64(i)) })
					}
					group.Wait()
				})
			})
		}
	}
}

// anything does what a client may do, for some connections.
func anything(t *testing.T, d *Dialer, at string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 5))
	for range 3 {
		got := make(chan string, 100)
		w := newWitness(nil)
		w.do = func(_ *Conn, kind Kind, p []byte) error {
			got <- kind.String() + string(p)
			return nil
		}
		c, err := d.Dial(t.Context(), at, w)
		if err != nil {
			t.Error(err)
			return
		}
		select {
		case <-w.opened:
		case err := <-w.closed:
			t.Errorf("closed before it was open: %v", err)
			return
		}
		for range 10 {
			var want []string
			for range random.IntN(8) {
				m := said(random.IntN(1 << random.IntN(15)))
				kind := Kind(1 + random.IntN(2))
				want = append(want, kind.String()+string(m))
				if random.IntN(4) == 0 && len(m) > 1 {
					at := random.IntN(len(m))
					c.WritePart(kind, m[:at], false)
					c.Ping([]byte("between"))
					err = c.WritePart(kind, m[at:], true)
				} else {
					err = c.Write(kind, m)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			for _, m := range want {
				select {
				case s := <-got:
					if s != m {
						t.Errorf("%d bytes came back, want %d", len(s), len(m))
						return
					}
				case err := <-w.closed:
					t.Errorf("closed: %v", err)
					return
				}
			}
		}
		if random.IntN(3) == 0 {
			c.Abort()
			<-w.closed
		} else {
			c.Close(4000, "")
			if err := <-w.closed; err != nil {
				t.Errorf("closed with %v", err)
			}
		}
	}
}

// A message costs no allocation, compressed or not, on either engine.
func TestAMessageCostsNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools drop what they keep")
	}
	engines(t, func(t *testing.T, engine string) {
		for name, d := range map[string]*Deflate{"plain": nil, "deflate": {Threshold: -1}} {
			address := serve(t, &Upgrader{Handler: echo, Options: Options{Deflate: d}}, &switchboard.Server{Engine: engine, Loops: 1, Logger: quiet})
			r := dialRaw(t, address, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
			m := frame(0x81, true, string(said(1000)))
			h, p, err := func() (header, string, error) { r.write(m); return r.frame() }()
			if err != nil || h.compressed != (d != nil) {
				t.Fatal(h, err)
			}
			answer := make([]byte, len(appendHeader(nil, h))+len(p))
			if d != nil { // as a client compresses it
				m = frame(0xc1, true, p)
			}
			round := func() {
				r.conn.Write(m)
				if _, err := io.ReadFull(r.in, answer); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				round()
			}
			const n = 2000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range n {
				round()
			}
			runtime.ReadMemStats(&after)
			if got := after.Mallocs - before.Mallocs; got > n/10 {
				t.Errorf("%s: %d allocations for %d messages", name, got, n)
			}
			r.conn.Close()
		}
	})
}

// An idle WebSocket is its two structs.
func TestAnIdleWebSocketCostsLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	engines(t, func(t *testing.T, engine string) {
		for name, d := range map[string]*Deflate{"plain": nil, "deflate": {Threshold: -1}} {
			address := serve(t, &Upgrader{Handler: echo, Options: Options{Deflate: d, PingInterval: time.Hour}}, &switchboard.Server{Engine: engine, Logger: quiet})
			heap := func() int64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			const n = 500
			clients := make([]*raw, 0, n)
			open := func() {
				r := dialRaw(t, address, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
				r.write(frame(0x81, true, "hello"))
				if _, _, err := r.frame(); err != nil {
					t.Fatal(err)
				}
				r.in, r.head = nil, nil
				clients = append(clients, r)
			}
			open()
			before := heap()
			for range n {
				open()
			}
			// The clients of this test are in the same heap: about 600 bytes each with net's part.
			each := (heap() - before) / n
			t.Logf("%s: %d bytes, the client's among them", name, each)
			most := int64(1500)
			if runtime.GOOS == "windows" {
				most = 2500 // where net's part is larger, and a waiting socket has its poll
			}
			if each > most {
				t.Errorf("%s: an idle WebSocket and its client cost %d bytes", name, each)
			}
			for _, r := range clients {
				r.conn.Close()
			}
		}
	})
}
