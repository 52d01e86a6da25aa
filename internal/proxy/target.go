package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/field"
	"github.com/switchboard-go/switchboard/proxyproto"
	"github.com/switchboard-go/switchboard/websocket"
)

// A Target is where clients are sent to.
type Target struct {
	Address string      // for switchboard.Conn.Dial
	TLS     *tls.Config // for switchboard.Conn.DialTLS; nil: what clients say is passed on as it is

	// URL is not empty for a target that speaks WebSocket, which Dialer opens there. Address and TLS play no part then.
	URL    string
	Dialer *websocket.Dialer

	// Weight is how many clients it gets for each that a target of weight 1 gets. 0: it gets none, and is left by those that it
	// has in their own time.
	Weight int

	// Names are those of the servers that clients ask for, by SNI of TLS, for which it is: in lower case, "*.example.org" for
	// all names of one more label. Without any it is for all clients whose name no other target has.
	Names []string
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

// ParseOptions reads what stands behind the address of a target: "weight=3 sni=one.example sni=*.two.example".
func (t *Target) ParseOptions(options []string) error {
	t.Weight = 1
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "weight":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > 1000 {
				return errors.New("weight=" + value + ": 0 to 1000 (with 0 it gets no new clients)")
			}
			t.Weight = n
		case "sni":
			name := strings.ToLower(strings.TrimSuffix(value, "."))
			if err := field.CheckName(strings.TrimPrefix(name, "*.")); err != nil || net.ParseIP(name) != nil {
				return errors.New("sni=" + value + ": a name (one.example), or one with a wildcard in front (*.one.example)")
			}
			t.Names = append(t.Names, name)
		default:
			return errors.New(strconv.Quote(option) + ": there are weight=N and sni=NAME")
		}
	}
	return nil
}

// serves tells whether the target is for clients that ask for a name, and how well: 2 for the name itself, 1 for a wildcard.
func (t Target) serves(name string) (fit int) {
	_, domain, _ := strings.Cut(name, ".")
	for _, own := range t.Names {
		switch own {
		case name:
			return 2
		case "*." + domain:
			fit = 1
		}
	}
	return fit
}

// A dialer is a switchboard.Server or Conn.
type dialer interface {
	Dial(ctx context.Context, address string, h switchboard.Handler) (*switchboard.Conn, error)
	DialTLS(ctx context.Context, address string, config *tls.Config, h switchboard.Handler) (*switchboard.Conn, error)
}

func (t *target) dial(from dialer, h switchboard.Handler) (*switchboard.Conn, error) {
	if config := t.dialTLS(); config != nil {
		return from.DialTLS(context.Background(), t.Address, config, h)
	}
	return from.Dial(context.Background(), t.Address, h)
}

// dialTLS is what a connection to t speaks from its beginning. nil: no TLS, or TLS behind a header.
func (t *target) dialTLS() *tls.Config {
	if t.pool.announce > 0 {
		return nil
	}
	return t.TLS
}

// announce writes the header that says for whom a connection to t is, and begins TLS behind it if t speaks that.
func (t *target) announce(to *switchboard.Conn, h *proxyproto.Header) error {
	b, err := h.Append(nil)
	if err == nil {
		_, err = to.Write(b)
	}
	if err != nil || t.TLS == nil {
		return err
	}
	config := t.TLS
	if config.ServerName == "" && !config.InsecureSkipVerify {
		config = config.Clone()
		host, _, _ := net.SplitHostPort(t.Address)
		config.ServerName = cmp.Or(host, "localhost")
	}
	return to.StartTLS(config)
}
