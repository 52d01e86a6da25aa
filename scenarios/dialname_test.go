package scenarios

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// names has every name stand for the given addresses until the test ends, by way of a name server on loopback (RFC 1035).
// Without any it does not answer. Each question is told.
func names(t *testing.T, addresses ...string) (asked <-chan bool) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := (&net.Dialer{Resolver: new(net.Resolver)}).DialContext(ctx, "udp", server.LocalAddr().String())
		if err == nil {
			context.AfterFunc(ctx, func() { c.Close() }) // or package net would wait for the answer a few seconds more
		}
		return c, err
	}}
	questions := make(chan bool, 100)
	t.Cleanup(func() {
		net.DefaultResolver = before
		server.Close()
	})
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			questions <- true
			if len(addresses) == 0 {
				continue
			}
			name := bytes.IndexByte(query[12:n], 0) + 13 // where the question's name ends
			kind := binary.BigEndian.Uint16(query[name:])
			reply := bytes.Clone(query[:name+4])
			answers := 0
			for _, address := range addresses {
				ip := netip.MustParseAddr(address)
				if ip.Is4() && kind == 1 || ip.Is6() && kind == 28 { // A or AAAA
					reply = append(reply, 0xC0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(ip.BitLen()/8))
					reply = append(reply, ip.AsSlice()...)
					answers++
				}
			}
			copy(reply[2:12], []byte{0x81, 0x80, 0, 1, 0, byte(answers), 0, 0, 0, 0})
			server.WriteTo(reply, from)
		}
	}()
	return questions
}

func TestDialTriesEveryAddressOfAName(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		names(t, "127.0.0.3", "127.0.0.2", "127.0.0.1", "::1")
		s.Accept = everyone(echo)
		address := start(t, s)
		_, port, _ := net.SplitHostPort(address)
		h := newDialler()
		c := dial(t, s, "several.switchboard.test:"+port, h)
		c.Write([]byte("hello"))
		next(t, h.opened)
		if got := c.RemoteAddr().String(); got != address {
			t.Errorf("it is connected to %s, not %s", got, address)
		}
		c.Close()
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestDialOfANameSaysWhatEachAddressSaid(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		names(t, "127.0.0.3", "127.0.0.2")
		dialling(t, s)
		l := listen(t)
		_, port, _ := net.SplitHostPort(l.Addr().String())
		h := newDialler()
		dial(t, s, "several.switchboard.test:"+port, h)
		err := next(t, h.ended)
		if !systest.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("ended with %v", err)
		}
		for _, part := range []string{"several.switchboard.test:" + port, "127.0.0.2:" + port, "127.0.0.3:" + port} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %s", err, part)
			}
		}
	})
}

// Whatever ends the dialling ends the asking for the name as well: nothing is left behind.
func TestDialThatEndsWhileANameIsAskedFor(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		asked := names(t)
		dialling(t, s)
		for i, end := range []func(c *switchboard.Conn, cancel func()){
			func(_ *switchboard.Conn, cancel func()) { cancel() },
			func(c *switchboard.Conn, _ func()) { c.Abort() },
			func(c *switchboard.Conn, _ func()) { shutdown(t, s) },
		} {
			h := newDialler()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c, err := s.Dial(ctx, fmt.Sprint("silent", i, ".switchboard.test:7"), h)
			if err != nil {
				t.Fatal(err)
			}
			next(t, asked) // for an IPv4 address
			next(t, asked) // and for an IPv6 address
			end(c, cancel)
			if err := next(t, h.ended); err == nil {
				t.Error("ended in order")
			}
		}
	})
}
