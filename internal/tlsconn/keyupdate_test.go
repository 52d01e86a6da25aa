package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/tlstest"
)

// roguePeer is a Conn of either side, whose handshake is over, and a rogue on the other end.
func roguePeer(t *testing.T, side string, part func(c *tls.Conn) error) (*owner, *peer, *tlstest.Rogue) {
	server, client := serverConfig(tls.VersionTLS13), clientConfig(tls.VersionTLS13)
	server.SessionTicketsDisabled = true // a ticket is a record too
	r := new(tlstest.Rogue)
	shaken := make(chan *tls.Conn, 1)
	play := func(c *tls.Conn) error {
		if err := c.Handshake(); err != nil {
			return err
		}
		shaken <- c
		return part(c)
	}
	var o *owner
	var p *peer
	if side == "server" {
		client.KeyLogWriter = r
		o, p = serverWith(t, server, client, whole, play)
	} else {
		server.KeyLogWriter = r
		o, p = clientWith(t, client, server, whole, play)
	}
	o.shakes()
	if err := r.Learn(side == "server", next(t, shaken).ConnectionState().CipherSuite); err != nil {
		t.Skip(err)
	}
	return o, p, r
}

var sides = []string{"server", "client"}

// A flood of KeyUpdates that ask for an answer, with just enough data between them, is answered with bytes that the owner
// can count: no more than came. The peer can read them, and what is encrypted after them.
func TestAnswersToKeyUpdatesAreGivenBack(t *testing.T) {
	for _, side := range sides {
		t.Run(side, func(t *testing.T) {
			leavesNothing(t)
			o, p, r := roguePeer(t, side, func(c *tls.Conn) error {
				got := make([]byte, 50)
				if _, err := io.ReadFull(c, got); string(got) != strings.Repeat("reply", 10) {
					return fmt.Errorf("%q, %v", got, err)
				}
				return nil
			})
			flood := func(rounds int) (answers []byte) {
				came := r.Flood(nil, rounds)
				plain, rest, answers, err := o.c.Decrypt(make([]byte, 0, 20_000), came, nil)
				if string(plain) != strings.Repeat("x", rounds) || len(rest) > 0 || err != nil {
					t.Fatalf("%q, %d left, %v", plain, len(rest), err)
				}
				if len(answers) < rounds*15*5 || len(answers) > len(came) {
					t.Errorf("%d bytes came, and the answers are %d", len(came), len(answers))
				}
				return answers
			}
			for range 10 {
				o.send(flood(1))
				o.writes([]byte("reply"))
			}
			p.did(t)
			flood(100)
		})
	}
}

// More updates without data than crypto/tls bears end it.
func TestNothingButKeyUpdatesEndsTheConnection(t *testing.T) {
	for _, side := range sides {
		t.Run(side, func(t *testing.T) {
			leavesNothing(t)
			o, p, r := roguePeer(t, side, func(*tls.Conn) error { return nil })
			p.did(t)
			var flood []byte
			for range 1000 {
				flood = r.Update(flood, true)
			}
			plain, _, answers, err := o.c.Decrypt(make([]byte, 0, 20_000), flood, nil)
			if err == nil || !o.c.Spoilt() || len(plain) > 0 || len(answers) == 0 || len(answers) > 1000 {
				t.Errorf("%q, %d bytes of answers, %v", plain, len(answers), err)
			}
		})
	}
}

// Messages may not span a change of keys: many updates in one record are refused, or they would be answered with more
// than came.
func TestManyKeyUpdatesInOneRecordAreRefused(t *testing.T) {
	for _, side := range sides {
		t.Run(side, func(t *testing.T) {
			leavesNothing(t)
			o, p, r := roguePeer(t, side, func(*tls.Conn) error { return nil })
			p.did(t)
			record := r.Seal(nil, tlstest.Handshake, bytes.Repeat([]byte{24, 0, 0, 1, 1}, 3000)...)
			_, _, answers, err := o.c.Decrypt(make([]byte, 0, 20_000), record, nil)
			if err == nil || len(answers) > 1000 {
				t.Errorf("%d bytes of answers, %v", len(answers), err)
			}
		})
	}
}
