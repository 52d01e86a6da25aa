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
	"github.com/switchboard-go/switchboard/internal/field"
	"github.com/switchboard-go/switchboard/websocket"
)

// A clientWebSocket is what dial and bench are told about servers that speak WebSocket.
type clientWebSocket struct {
	headers      []string
	subprotocols []string
	deflate      bool
	binary       bool          // dial's only
	user         *url.Userinfo // of the URL of a bench over HTTP

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
	for _, name := range []string{"subprotocol", "deflate"} {
		if w.set.Changed(name) {
			return nil, fmt.Errorf("--%s is for ws://HOST:PORT and wss://HOST:PORT", name)
		}
	}
	header, err := w.header("header", field.Request)
	setUser(header, w.user)
	return header, err
}

// header reads a flag for fields of a header, which has none of a set.
func (w *clientWebSocket) header(flag string, not field.Set) (http.Header, error) {
	header := http.Header{}
	for _, text := range w.headers {
		name, value, err := parseField(flag, text, not)
		if err != nil {
			return nil, err
		}
		if header.Add(name, value); http.CanonicalHeaderKey(name) == "Host" && len(header.Values(name)) > 1 {
			return nil, fmt.Errorf("--%s %q: a request has one Host", flag, text)
		}
	}
	return header, nil
}

// parseField reads the value of a flag: a field of a header, NAME: VALUE, which is none of a set.
func parseField(flag, text string, not field.Set) (name, value string, err error) {
	name, value, ok := strings.Cut(text, ":")
	name, value = textproto.TrimString(name), textproto.TrimString(value)
	if !ok || name == "" {
		return "", "", fmt.Errorf("--%s %q: it must be NAME: VALUE", flag, text)
	}
	if err := not.Check(name, value); err != nil {
		return "", "", fmt.Errorf("--%s %q: %w", flag, text, err)
	}
	return name, value, nil
}

// options returns what a websocket.Dialer is to be told. The flags begin with a prefix.
func (w *clientWebSocket) options(prefix string) (header http.Header, o websocket.Options, err error) {
	if header, err = w.header(prefix+"header", field.Handshake); err != nil {
		return nil, o, err
	}
	if err := field.CheckSubprotocols(w.subprotocols); err != nil {
		return nil, o, fmt.Errorf("--%ssubprotocol: %w", prefix, err)
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
	u, address, err := parseWebSocket("bench", text)
	if err != nil {
		return to, nil, err
	}
	destinations, err := secure.parse(address)
	if err != nil {
		return to, nil, err
	}
	header, options, err := w.options("")
	if err != nil {
		return to, nil, err
	}
	if header.Get("Host") == "" {
		header.Set("Host", withoutZone(u))
	}
	setUser(header, u.User)
	return destinations[0], &bench.WebSocket{Path: u.RequestURI(), Header: header, Options: options}, nil
}

// setUser sets the user and password of a URL in a header, unless it says who asks.
func setUser(header http.Header, user *url.Userinfo) {
	if user != nil && header.Get("Authorization") == "" {
		r := http.Request{Header: header}
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
}

// parseWebSocket reads the URL of a WebSocket, for a command that takes no ws+unix:. It returns the address for clientTLS.parse,
// too.
func parseWebSocket(command, text string) (u *url.URL, address string, err error) {
	u, err = url.Parse(text)
	var inner *url.Error
	switch {
	case errors.As(err, &inner):
		return nil, "", fmt.Errorf("address %q: %w", text, inner.Err)
	case u.Scheme != "ws" && u.Scheme != "wss":
		return nil, "", fmt.Errorf("address %q: %s takes ws://HOST:PORT/PATH or wss://HOST:PORT/PATH", text, command)
	case u.Hostname() == "":
		return nil, "", fmt.Errorf("address %q: the host is missing", text)
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, "", fmt.Errorf("address %q: a fragment (#) means nothing here", text)
	}
	port, scheme := u.Port(), ""
	if u.Scheme == "wss" {
		scheme = "tls://"
	}
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	return u, scheme + net.JoinHostPort(u.Hostname(), port), nil
}
