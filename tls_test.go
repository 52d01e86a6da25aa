//go:build unix

package switchboard_test

import (
	"crypto/tls"
	"testing"

	"github.com/switchboard-go/switchboard"
)

func TestEchoOverTLS(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.Accept = everyone(echo)
		p := callTLS(t, start(t, s), client)
		p.says("hello")
		p.hears("hello")
		said := noise(1, 1_000_000)
		go p.says(said)
		p.hears(said)
		p.endsOutput()
		p.hearsEnd("")
	})
}
