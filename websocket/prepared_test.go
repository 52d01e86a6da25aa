package websocket

import (
	"bytes"
	"sync"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// One message for receivers that agreed on different things: each gets it, among others of its own.
func TestPreparedMessages(t *testing.T) {
	text := said(20_000)
	m, err := Prepare(Text, text)
	if err != nil {
		t.Fatal(err)
	}
	short, _ := Prepare(Binary, []byte("short"))
	if _, err := Prepare(7, nil); err == nil {
		t.Error("a kind that is none was taken")
	}
	var group sync.WaitGroup
	for _, ours := range []*Deflate{nil, {}, {ContextTakeover: true, Level: 6}, {WindowBits: 9, ContextTakeover: true}} {
		for _, theirs := range []*Deflate{nil, {}, {ContextTakeover: true}} {
			group.Go(func() {
				h := MessageFunc(func(c *Conn, kind Kind, p []byte) error {
					for range 3 {
						if err := c.WritePrepared(m); err != nil {
							return err
						}
						if err := c.Write(Text, text); err != nil { // which may refer to the one before
							return err
						}
					}
					return c.WritePrepared(short)
				})
				address := serve(t, &Upgrader{Handler: h, Options: Options{Deflate: ours}}, nil)
				got := make(chan []byte, 10)
				w := newWitness(func(_ *Conn, _ Kind, p []byte) error {
					got <- bytes.Clone(p)
					return nil
				})
				s := &switchboard.Server{Logger: quiet}
				defer s.Close()
				c, err := (&Dialer{Server: s, Options: Options{Deflate: theirs}}).Dial(t.Context(), "ws://"+address, w)
				if err != nil {
					t.Error(err)
					return
				}
				<-w.opened
				if theirs == nil {
					c.WritePrepared(m)
				} else {
					c.WritePrepared(short)
				}
				for range 6 {
					select {
					case p := <-got:
						if !bytes.Equal(p, text) {
							t.Errorf("%d bytes came", len(p))
						}
					case err := <-w.closed:
						t.Error(err)
						return
					}
				}
				if p := <-got; string(p) != "short" {
					t.Errorf("%.40q", p)
				}
			})
		}
	}
	group.Wait()
	if len(m.compressed) < 3 {
		t.Errorf("it was compressed for %d settings", len(m.compressed))
	}
}
