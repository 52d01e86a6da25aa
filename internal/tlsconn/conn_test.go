package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

type with = func(piece func() int, part func(c *tls.Conn) error) (*owner, *peer)

// However the network cuts the bytes, the handshake succeeds, all data comes through both ways, and each side's end is
// told.
func TestEveryCutOfTheStreamSaysTheSame(t *testing.T) {
	cuts := map[string]func() int{"whole": whole, "random": func() int { return 1 + rand.IntN(1000) }}
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 499, 500, 501, 4096} {
		cuts[fmt.Sprint(n)] = func() int { return n }
	}
	onBothSides(t, func(t *testing.T, with with) {
		for name, piece := range cuts {
			t.Run(name, func(t *testing.T) {
				said := noise(1, 40_000)
				o, p := with(piece, echoes)
				o.shakes()
				for i := 0; i < len(said); { // small records and large ones
					n := min(1+i*3, len(said)-i)
					o.writes(said[i : i+n])
					i += n
				}
				if got := o.reads(len(said)); !bytes.Equal(got, said) {
					t.Fatal("it is not what was said")
				}
				o.endsOutput()
				if _, err := o.read(); err != io.EOF {
					t.Errorf("the peer ended its output, and Decrypt said %v", err)
				}
				p.did(t)
				if o.c.MidRecord() || o.c.Spoilt() {
					t.Error("it ended in order")
				}
			})
		}
	})
}

func TestStateIsKnownAfterTheHandshake(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, v uint16) {
		server, client := serverConfig(v), clientConfig(v)
		server.NextProtos, client.NextProtos = []string{"b", "c"}, []string{"a", "c"}
		o, p := serverWith(t, server, client, whole, (*tls.Conn).Handshake)
		if o.c.State() != nil {
			t.Error("a state before the handshake")
		}
		o.shakes()
		p.did(t)
		if s := o.c.State(); s == nil || s.Version != v || s.NegotiatedProtocol != "c" || s.ServerName != "localhost" {
			t.Errorf("the state is %+v", s)
		}
		if over, err := o.c.Handshaken(); !over || err != nil {
			t.Error(over, err)
		}
	})
}

// What comes together with the end of the handshake is not lost.
func TestWhatComesWithTheEndOfTheHandshakeIsUnread(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, v uint16) {
		here, there := wires(t)
		wire := &holding{Conn: there}
		p := does(t, tls.Client(wire, clientConfig(v)), func(c *tls.Conn) error {
			if wire.after = 1000; v == tls.VersionTLS13 {
				wire.after = 1 // the ClientHello goes, the rest waits
			}
			if err := c.Handshake(); err != nil {
				return err
			}
			if v == tls.VersionTLS13 {
				io.WriteString(c, "first")
				return wire.release()
			}
			return nil
		})
		o := newOwner(t, tlsconn.Server(serverConfig(v), here), here, whole)
		o.shakes()
		p.did(t)
		if v == tls.VersionTLS13 {
			if len(o.unread) == 0 {
				t.Error("nothing was unread")
			}
			if got := o.reads(5); string(got) != "first" {
				t.Errorf("%q", got)
			}
		}
		go func() { p.Read(make([]byte, 1)) }() // tickets
	})
}

func TestTruncationIsSeen(t *testing.T) {
	onBothSides(t, func(t *testing.T, with with) {
		o, p := with(whole, func(c *tls.Conn) error {
			_, err := io.WriteString(c, "x")
			return err
		})
		o.shakes()
		o.reads(1)
		p.did(t)
		if o.c.MidRecord() {
			t.Error("mid-record after a whole one")
		}
		// A record of the peer's, as the wire has it, comes in two parts.
		record := make(chan []byte, 1)
		go func() {
			p := make([]byte, 1000)
			n, _ := o.wire.Read(p)
			record <- p[:n]
		}()
		io.WriteString(p, "half")
		whole := next(t, record)
		for i := 1; i < len(whole); i++ {
			plain, rest, answers, err := o.c.Decrypt(make([]byte, 0, 20_000), whole[i-1:i], nil)
			if len(plain) > 0 || len(rest) > 0 || len(answers) > 0 || err != nil || !o.c.MidRecord() {
				t.Fatalf("at %d: %q, %q, %q, %v", i, plain, rest, answers, err)
			}
		}
		plain, _, _, err := o.c.Decrypt(make([]byte, 0, 20_000), whole[len(whole)-1:], nil)
		if string(plain) != "half" || err != nil || o.c.MidRecord() {
			t.Errorf("%q, %v", plain, err)
		}
	})
}

// A record that was changed under way ends it: the peer hears an alert, and never an orderly end.
func TestChangedRecordSpoilsTheConnection(t *testing.T) {
	onBothSides(t, func(t *testing.T, with with) {
		o, p := with(whole, func(c *tls.Conn) error {
			io.WriteString(c, "x")
			_, err := io.ReadAll(c)
			if err == nil || !strings.Contains(err.Error(), "bad record MAC") {
				return fmt.Errorf("it heard %v", err)
			}
			return nil
		})
		o.shakes()
		o.reads(1)
		_, _, alert, err := o.c.Decrypt(make([]byte, 0, 20_000), append([]byte{23, 3, 3, 0, 50}, noise(1, 50)...), nil)
		if err == nil || !strings.Contains(err.Error(), "bad record MAC") || len(alert) == 0 || !o.c.Spoilt() {
			t.Errorf("%v, with an alert of %d bytes", err, len(alert))
		}
		o.send(alert)
		if records, err := o.c.Encrypt(nil, []byte("late")); err == nil || len(records) > 0 {
			t.Errorf("%d bytes were encrypted after it, %v", len(records), err)
		}
		if records, err := o.c.CloseNotify(nil); err == nil || len(records) > 0 {
			t.Errorf("%d bytes said that all was well, %v", len(records), err)
		}
		if _, _, _, err := o.c.Decrypt(make([]byte, 0, 20_000), []byte("more"), nil); err == nil {
			t.Error("it was decrypted")
		}
		p.did(t)
	})
}

func TestNothingIsEncryptedBeforeTheHandshake(t *testing.T) {
	here, _ := wires(t)
	c := tlsconn.Server(serverConfig(tls.VersionTLS13), here)
	if out, err := c.Encrypt(nil, []byte("x")); err == nil || len(out) > 0 {
		t.Error(out, err)
	}
	if out, err := c.CloseNotify(nil); err == nil || len(out) > 0 {
		t.Error(out, err)
	}
	if plain, _, out, err := c.Decrypt(make([]byte, 0, 20_000), []byte("x"), nil); err == nil || len(plain)+len(out) > 0 {
		t.Error(plain, out, err)
	}
}

// Decrypt stops when the next record might not fit, and goes on from there.
func TestDecryptKeepsToTheRoomItHas(t *testing.T) {
	onBothSides(t, func(t *testing.T, with with) {
		said := noise(2, 200_000)
		o, p := with(whole, func(c *tls.Conn) error {
			_, err := c.Write(said)
			return errors.Join(err, c.CloseWrite())
		})
		o.shakes()
		cipher, _ := io.ReadAll(io.MultiReader(bytes.NewReader(o.unread), cutWire{o, p}))
		var got []byte
		if _, rest, _, err := o.c.Decrypt(make([]byte, 0, tlsconn.MaxPlaintext-1), cipher, nil); err != io.ErrShortBuffer ||
			len(rest) != len(cipher) || o.c.Spoilt() {
			t.Fatal("without room:", err)
		}
		calls := 0
		err := error(nil)
		for ; len(cipher) > 0 && err == nil; calls++ {
			var plain []byte
			plain, cipher, _, err = o.c.Decrypt(make([]byte, 0, 20_000), cipher, nil)
			got = append(got, plain...)
		}
		if !bytes.Equal(got, said) || err != io.EOF || calls < 10 {
			t.Errorf("%d bytes in %d calls, %v", len(got), calls, err)
		}
	})
}

// A cutWire reads what the peer sends until its part is done.
type cutWire struct {
	o *owner
	p *peer
}

func (w cutWire) Read(p []byte) (int, error) {
	if len(w.p.ended) > 0 {
		return 0, io.EOF // what was written to a pipe has been read
	}
	read := make(chan int, 1)
	go func() {
		n, _ := w.o.wire.Read(p)
		read <- n
	}()
	select {
	case n := <-read:
		return n, nil
	case err := <-w.p.ended:
		w.p.ended <- err
		w.o.wire.Close()
		return <-read, nil
	}
}

func TestClientCertificates(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, v uint16) {
		for name, certificate := range map[string][]tls.Certificate{"none": nil, "own": {own()}} {
			server, client := serverConfig(v), clientConfig(v)
			server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			server.ClientCAs.AddCert(own().Leaf)
			client.Certificates = certificate
			o, p := serverWith(t, server, client, whole, func(c *tls.Conn) error {
				io.WriteString(c, "x")
				_, err := io.ReadAll(c)
				return err
			})
			err := o.handshake()
			if name == "none" {
				if err == nil || !strings.Contains(err.Error(), "certificate") {
					t.Errorf("without one: %v", err)
				}
				go io.Copy(io.Discard, o.wire)
				if err := next(t, p.ended); err == nil || !strings.Contains(err.Error(), "remote error: tls: ") {
					t.Errorf("the client heard %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.reads(1); len(o.c.State().PeerCertificates) != 1 {
				t.Error("no certificate")
			}
			o.endsOutput()
			p.did(t)

			o, p = clientWith(t, client, server, whole, echoes)
			o.shakes()
			o.writes([]byte("x"))
			o.reads(1)
			o.endsOutput()
			o.read()
			p.did(t)
		}
	})
}

func TestSessionsAreResumed(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, v uint16) {
		server, client := serverConfig(v), clientConfig(v)
		for name, begin := range map[string]func() (*owner, *peer){
			"server": func() (*owner, *peer) { return serverWith(t, server, client, whole, asks) },
			"client": func() (*owner, *peer) { return clientWith(t, client, server, whole, echoes) },
		} {
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i := range 3 {
				o, p := begin()
				o.shakes()
				if name == "client" {
					o.writes([]byte("x"))
					o.reads(1)
				} else {
					o.writes(o.reads(1))
				}
				o.endsOutput()
				o.read()
				p.did(t)
				if resumed := o.c.State().DidResume; resumed != (i > 0) {
					t.Errorf("%s: connection %d resumed: %v", name, i, resumed)
				}
			}
		}
	})
}

// asks is a peer that says a byte, reads it back, and then the end.
func asks(c *tls.Conn) error {
	io.WriteString(c, "x")
	got, err := io.ReadAll(c)
	if string(got) != "x" || err != nil {
		return fmt.Errorf("%q, %v", got, err)
	}
	return c.CloseWrite()
}
