package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"runtime"
	"testing"

	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

type addrs struct{}

func (addrs) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (addrs) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// connected are the two ends of one TLS connection, without a wire.
func connected(t testing.TB, server, client *tls.Config) (s, c *tlsconn.Conn) {
	t.Helper()
	s, c = tlsconn.Server(server, addrs{}), tlsconn.Client(client, addrs{})
	done := make(chan bool, 1)
	var toServer, toClient []byte
	step := func(x *tlsconn.Conn, in []byte) (out []byte, over bool) {
		x.Step(in, func() { done <- true })
		next(t, done)
		out = x.Output()
		over, err := x.Handshaken()
		if err != nil || len(x.Unread()) > 0 {
			t.Fatal("the handshake:", err)
		}
		return out, over
	}
	up := [2]bool{}
	toServer, _ = step(c, nil)
	for !up[0] || !up[1] {
		if !up[0] {
			toClient, up[0] = step(s, toServer)
		}
		if !up[1] {
			toServer, up[1] = step(c, toClient)
			toClient = nil
		}
	}
	if len(toClient) > 0 { // tickets
		if _, _, _, err := c.Decrypt(make([]byte, 0, 20_000), toClient, nil); err != nil {
			t.Fatal(err)
		}
	}
	return s, c
}

func TestRecordsCostNoMemory(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, v uint16) {
		s, c := connected(t, serverConfig(v), clientConfig(v))
		said := noise(1, 100_000)
		cipher, plain := make([]byte, 0, 200_000), make([]byte, 0, 200_000)
		records := 0
		round := func() {
			cipher, _ = c.Encrypt(cipher[:0], said)
			records = 0
			for rest := cipher; len(rest) > 0; rest = rest[5+int(rest[3])<<8+int(rest[4]):] {
				records++
			}
			var err error
			plain, _, _, err = s.Decrypt(plain[:0], cipher, nil)
			if err != nil || !bytes.Equal(plain, said) {
				t.Fatal(err)
			}
		}
		for range 30 {
			round() // the first megabyte goes in short records
		}
		// crypto/tls allocates the reader of each record, of 24 bytes, and at times takes buffers out of pools.
		if n := testing.AllocsPerRun(100, round); n > 2*float64(records)+1 {
			t.Errorf("%v allocations for %d records", n, records)
		}
	})
}

// An idle connection of a server costs little more than crypto/tls alone keeps, and less after a long first record.
func TestIdleConnectionIsSmall(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, v uint16) {
		server, client := serverConfig(v), clientConfig(v)
		alone := idle(func() any {
			here, there := net.Pipe()
			p := does(t, tls.Client(there, client), func(c *tls.Conn) error {
				_, err := c.Read(make([]byte, 1))
				return err
			})
			wire := &struct{ net.Conn }{here}
			c := tls.Server(wire, server)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			there.Close()
			next(t, p.ended)
			wire.Conn = nil
			return c
		})
		each := idle(func() any {
			c, _ := connected(t, server, client)
			return c
		})
		if t.Logf("%d bytes, and crypto/tls alone %d", each, alone); each > alone+200 {
			t.Errorf("%d bytes, and crypto/tls alone %d", each, alone)
		}
	})
}

// idle returns how much memory one of what connect returns keeps.
func idle(connect func() any) int64 {
	const conns = 100
	connect()
	kept := make([]any, conns)
	before := heap()
	for i := range kept {
		kept[i] = connect()
	}
	each := (heap() - before) / conns
	runtime.KeepAlive(kept)
	return each
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
