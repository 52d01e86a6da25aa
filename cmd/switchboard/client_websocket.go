package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/websocket"
)

// A clientWebSocket is what dial and bench are told about servers that speak WebSocket.
type clientWebSocket struct {
	headers      []string
	subprotocols []string
	deflate      bool
	binary       bool // dial's only

	set *pflag.FlagSet
}

func (w *clientWebSocket) addTo(cmd *cobra.Command) {
	w.set = pflag.NewFlagSet("websocket", pflag.ContinueOnError)
	w.set.SortFlags = false
	if cmd.Name() == "dial" {
		w.set.BoolVar(&w.binary, "binary", false, "send binary messages to ws://…, and write messages without line ends")
	}
	what := "ws://…"
	if cmd.Name() == "bench" {
		what = "http://… or ws://…"
	}
	w.set.StringArrayVarP(&w.headers, "header", "H", nil, "`'NAME: VALUE'`, a header field of requests to "+what+"; may be repeated")
	w.set.StringSliceVar(&w.subprotocols, "subprotocol", nil, "`NAME` of a WebSocket subprotocol to offer; the preferred one first")
	w.set.BoolVar(&w.deflate, "deflate", false, "offer compression of WebSocket messages")
	cmd.Flags().AddFlagSet(w.set)
	cmd.RegisterFlagCompletionFunc("header", cobra.NoFileCompletions)
	cmd.RegisterFlagCompletionFunc("subprotocol", cobra.NoFileCompletions)
}

// isWebSocket tells whether an address is to be spoken WebSocket with.
func isWebSocket(text string) bool {
	for _, scheme := range []string{"ws://", "wss://", "ws+unix:"} {
		if strings.HasPrefix(text, scheme) {
			return true
		}
	}
	return false
}

// refuse makes sure that none of these flags was given for another address.
func (w *clientWebSocket) refuse() (err error) {
	w.set.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && err == nil {
			err = fmt.Errorf("--%s is for ws://HOST:PORT and wss://HOST:PORT", flag.Name)
			if flag.Name == "header" && strings.Contains(flag.Usage, "http://") {
				err = errors.New("--header is for http://, https://, ws:// and wss://HOST:PORT")
			}
		}
	})
	return err
}

// httpHeader returns the header of requests that have nothing to do with WebSocket.
func (w *clientWebSocket) httpHeader() (http.Header, error) {
	header, _, err := w.options("header")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"subprotocol", "deflate"} {
		if w.set.Changed(name) {
			return nil, fmt.Errorf("--%s is for ws://HOST:PORT and wss://HOST:PORT", name)
		}
	}
	return header, nil
}

// options returns what a websocket.Dialer is to be told. The flag for fields of the header is named.
func (w *clientWebSocket) options(flag string) (header http.Header, o websocket.Options, err error) {
	header = http.Header{}
	for _, line := range w.headers {
		name, value, ok := strings.Cut(line, ":")
		if name = textproto.TrimString(name); !ok || name == "" {
			return nil, o, fmt.Errorf("--%s %q: it must be NAME: VALUE", flag, line)
		}
		header.Add(name, textproto.TrimString(value))
	}
	o.Subprotocols = w.subprotocols
	if w.deflate {
		o.Deflate = &websocket.Deflate{}
	}
	return header, o, nil
}

// withoutZone is the host of a URL, with its port, and without the zone of an IPv6 address, which means nothing elsewhere
// (RFC 6874, section 1).
func withoutZone(u *url.URL) string {
	if before, after, ok := strings.Cut(u.Host, "%"); ok {
		return before + after[strings.Index(after, "]"):]
	}
	return u.Host
}

// parse reads the address of a bench.
func (w *clientWebSocket) parse(text string, secure *clientTLS) (to destination, ws *bench.WebSocket, err error) {
	if strings.HasPrefix(text, "ws+unix:") {
		return to, nil, fmt.Errorf("address %q: bench takes ws://HOST:PORT/PATH or wss://HOST:PORT/PATH", text)
	}
	u, err := url.Parse(text)
	if err != nil {
		return to, nil, fmt.Errorf("address %q: %w", text, err)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	scheme := map[string]string{"ws": "", "wss": "tls://"}[u.Scheme]
	destinations, err := secure.parse(scheme + net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return to, nil, err
	}
	header, options, err := w.options("header")
	if err != nil {
		return to, nil, err
	}
	if header.Get("Host") == "" {
		header.Set("Host", withoutZone(u))
	}
	return destinations[0], &bench.WebSocket{Path: u.RequestURI(), Header: header, Options: options}, nil
}
