package zmtp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

func TestPeersHearOfUserAndMetadata(t *testing.T) {
	for _, sec := range securities(t) {
		t.Run(sec.name, func(t *testing.T) {
			c := newContext(t)
			o := sec.ours(true)
			var seen events
			o.Monitor = seen.add
			if sec.name == "NULL" {
				o.Authenticate = func(l *zmtp.Login) (string, error) {
					if l.Mechanism != "NULL" || !strings.HasPrefix(l.RemoteAddr, "127.0.0.1:") || !strings.HasPrefix(l.Endpoint, "tcp://") {
						return "", fmt.Errorf("%+v", l)
					}
					return "ann", nil
				}
			}
			pull := socketOf(t, c, zmtp.PULL, &o)
			o = sec.ours(false)
			o.Metadata = map[string]string{"X-Version": "7"}
			push := socketOf(t, c, zmtp.PUSH, &o)
			connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
			send(t, push, "x")
			var m zmtp.Message
			if err := pull.RecvMessage(t.Context(), &m); err != nil || m.UserID != "ann" || m.RemoteAddr() == "" {
				t.Errorf("%q %q, %v", m.UserID, m.RemoteAddr(), err)
			}
			if e := seen.find(zmtp.Ready); e == nil || e.Metadata["X-Version"] != "7" || e.Peer != "PUSH" {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestWrongSecretsAreRefused(t *testing.T) {
	secs := securities(t)
	_, stranger := zmtp.NewKeyPair()
	other, _ := zmtp.NewKeyPair()
	for name, wrong := range map[string]struct {
		sec  security
		with zmtp.Security
	}{
		"password":   {secs[1], zmtp.PlainClient{Username: "ann", Password: "guess"}},
		"client key": {secs[2], zmtp.CurveClient{ServerKey: secs[2].ours(false).Security.(zmtp.CurveClient).ServerKey, SecretKey: stranger}},
		"server key": {secs[2], zmtp.CurveClient{ServerKey: other}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContext(t)
			o := wrong.sec.ours(true)
			var seen events
			pull := socketOf(t, c, zmtp.PULL, &o)
			push := socketOf(t, c, zmtp.PUSH, &zmtp.Options{Security: wrong.with, Monitor: seen.add, Immediate: true, ReconnectMin: time.Hour})
			connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
			eventually(t, "it is refused", func() bool { return seen.find(zmtp.HandshakeFailed) != nil })
			if push.TrySend(&zmtp.Message{Parts: [][]byte{nil}}) != zmtp.ErrWouldBlock || seen.find(zmtp.Ready) != nil {
				t.Error("it was let in")
			}
		})
	}
}

func TestStrangersCannotHoldAuthenticateUp(t *testing.T) {
	c := newContext(t)
	wait := make(chan struct{})
	pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{HandshakeTimeout: 100 * time.Millisecond, Authenticate: func(l *zmtp.Login) (string, error) {
		<-wait
		panic("on purpose")
	}})
	var seen events
	push := socketOf(t, c, zmtp.PUSH, &zmtp.Options{Monitor: seen.add, ReconnectMin: time.Hour})
	connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
	eventually(t, "it is ended", func() bool { return seen.find(zmtp.HandshakeFailed) != nil })
	close(wait)
}
