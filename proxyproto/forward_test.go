//go:build unix

package proxyproto

import (
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// HAProxy is in front of a proxy of ours, which has others behind it: they learn what HAProxy says, and not what ours sees.
func TestWhatAProxyInFrontSaysIsPassedOn(t *testing.T) {
	t.Parallel()
	_, path := pair(t, "theirs.example")
	ours, _ := pair(t, "ours.example")
	receiver := &Receiver{From: loopback, Received: func(c *switchboard.Conn, h *Header) error {
		c.SetValue(h)
		return nil
	}}
	told, _ := serves(t, nil)
	secure := &tls.Config{Certificates: []tls.Certificate{ours}}
	asks := func(name string) *tls.Config { return &tls.Config{InsecureSkipVerify: true, ServerName: name} }
	const options = "send-proxy-v2 proxy-v2-options ssl,ssl-cipher,authority,crc32c,unique-id"
	for _, c := range []struct {
		name            string
		behind          func(t *testing.T) string
		version         int
		bind, server    string
		client, between *tls.Config
		want            string // %[1]s: the client, %[2]s: HAProxy
	}{
		{"HAProxy by version 1", believer, 1, "", "send-proxy", nil, nil, "%s to %s name  id "},
		{"HAProxy by version 2 from 1", believer, 2, "", "send-proxy", nil, nil, "%s to %s name  id "},
		{"HAProxy by version 1 from 2", believer, 1, "ssl crt " + path, options, asks("theirs.example"), nil, "%s to %s name  id "},
		{"HAProxy by version 2", believer, 2, "ssl crt " + path, options, asks("theirs.example"), nil, "%s to %s name theirs.example id 75"},
		{"HAProxy, and TLS with ours only", believer, 2, "", "send-proxy-v2", asks("ours.example"), secure, "%s to %s name ours.example id "},
		{"nginx by version 1", believingNginx, 1, "", "send-proxy-v2", nil, nil, "%s to %s"},
		{"nginx by version 2", believingNginx, 2, "", options, nil, nil, "%s to %s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			proxy := proxies(t, c.behind(t), c.version, c.between, receiver)
			front, file := listener(t)
			haproxy(t, []*os.File{file}, fmt.Sprintf("listen front\n  bind fd@3 %s\n  unique-id-format u\n  server s %s %s\n", c.bind, proxy, c.server))
			heard, own := body(t, front, c.client)
			if want := fmt.Sprintf(c.want, own, front); heard != want {
				t.Errorf("heard %q, want %q", heard, want)
			}
		})
	}
	for name, c := range map[string]struct {
		bind, server string
		client       *tls.Config
		between      *tls.Config
		want         string
	}{
		"TLS with HAProxy": {"ssl crt " + path, options, asks("theirs.example"), nil, `name "theirs.example", id "u", sum true, TLS {Version:TLSv1.3`},
		"TLS with both": {"ssl crt " + path, options + " ssl verify none sni str(ours.example)", asks("theirs.example"), secure,
			`name "theirs.example", id "u", sum true, TLS {Version:TLSv1.3`},
		"TLS with ours": {"", "send-proxy-v2", asks("ours.example"), secure, `name "ours.example", id "", sum false, TLS {Version:TLSv1.3`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := proxies(t, told, 2, c.between, receiver)
			front, file := listener(t)
			haproxy(t, []*os.File{file}, fmt.Sprintf("listen front\n  bind fd@3 %s\n  unique-id-format u\n  server s %s %s\n", c.bind, proxy, c.server))
			heard, own := hears(t, front, c.client, "")
			if want := own + " to " + front + " by version 2, " + c.want; !strings.HasPrefix(heard, want) {
				t.Errorf("heard %q, want %q", heard, want)
			}
		})
	}
}
