package proxy

import (
	"context"
	"crypto/tls"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// A Target is where clients are sent to.
type Target struct {
	Address string      // for switchboard.Conn.Dial
	TLS     *tls.Config // for switchboard.Conn.DialTLS; nil: what clients say is passed on as it is

	// URL is not empty for a target that speaks WebSocket, which Dialer opens there. Address and TLS play no part then.
	URL    string
	Dialer *websocket.Dialer
}

// String is the URL, or the address, after tls:// if TLS is spoken there.
func (t Target) String() string {
	if t.URL != "" {
		return t.URL
	}
	if t.TLS != nil {
		return "tls://" + t.Address
	}
	return t.Address
}

// A dialer is a switchboard.Server or Conn.
type dialer interface {
	Dial(ctx context.Context, address string, h switchboard.Handler) (*switchboard.Conn, error)
	DialTLS(ctx context.Context, address string, config *tls.Config, h switchboard.Handler) (*switchboard.Conn, error)
}

func (t Target) dial(from dialer, h switchboard.Handler) (*switchboard.Conn, error) {
	if t.TLS != nil {
		return from.DialTLS(context.Background(), t.Address, t.TLS, h)
	}
	return from.Dial(context.Background(), t.Address, h)
}
