package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard"
)

// proxyFor returns the proxy that leads to a server, nil for none.
func (d *Dialer) proxyFor(to location) (*url.URL, error) {
	if d.Proxy == nil || to.scheme == "ws+unix" {
		return nil, nil
	}
	u := &url.URL{Scheme: "http", Host: to.host, Path: "/"}
	if to.secure {
		u.Scheme = "https"
	}
	proxy, err := d.Proxy(&http.Request{Method: http.MethodGet, URL: u, Host: to.host, Header: http.Header{}})
	if err != nil || proxy == nil {
		return nil, err
	}
	if proxy.Scheme != "http" && proxy.Scheme != "https" {
		return nil, fmt.Errorf("the proxy %s is not one of HTTP", proxy.Redacted())
	}
	return proxy, nil
}

// throughProxy asks for a tunnel on a goroutine, and has the loop go on from there.
func (k *clientHandshake) throughProxy(server *switchboard.Server, proxy *url.URL) {
	timeout, ctx, cancel := k.d.settings.HandshakeTimeout, k.ctx, func() {}
	if timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, ErrHandshakeTimeout)
	}
	defer cancel()
	nc, err := k.tunnel(ctx, proxy)
	if err == nil {
		err = k.adopt(server, nc)
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		k.c.handler.Closed(k.c, fmt.Errorf("websocket: dial %s through %s: %w", k.to, proxy.Redacted(), err))
	}
}

// adopt has the loop serve a tunnel, unless the WebSocket has been given up meanwhile.
func (k *clientHandshake) adopt(server *switchboard.Server, nc net.Conn) (err error) {
	c := k.c
	var config *tls.Config
	if k.to.secure {
		config = &tls.Config{}
		if k.d.TLSConfig != nil {
			config = k.d.TLSConfig.Clone()
		}
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(k.to.address)
		}
	}
	if _, ok := nc.(syscall.Conn); !ok {
		inner := nc
		if nc, err = bridge(nc); err != nil {
			inner.Close()
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending.Load()&sendClosed != 0 {
		err = switchboard.ErrAborted
	} else {
		c.conn, err = server.Adopt(nc, nil, config, k)
	}
	if err != nil {
		nc.Close()
	}
	return err
}

// tunnel connects to a proxy and asks it for a connection to the server (RFC 9110, section 9.3.6).
func (k *clientHandshake) tunnel(ctx context.Context, proxy *url.URL) (nc net.Conn, err error) {
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	}
	address := net.JoinHostPort(proxy.Hostname(), port)
	if proxy.Scheme == "https" {
		nc, err = new(tls.Dialer).DialContext(ctx, "tcp", address)
	} else {
		nc, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	if err = k.connect(nc, proxy.User); err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// connect speaks with the proxy.
func (k *clientHandshake) connect(nc net.Conn, user *url.Userinfo) error {
	credentials := ""
	if user != nil {
		password, _ := user.Password()
		credentials = "Proxy-Authorization: Basic " +
			base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := fmt.Fprintf(nc, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n%s\r\n", k.to.address, credentials); err != nil {
		return err
	}
	in := bufio.NewReader(io.LimitReader(nc, int64(k.d.settings.MaxHandshake)))
	r, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil:
		return fmt.Errorf("the proxy's answer: %w", err)
	case r.StatusCode/100 != 2:
		return &HandshakeError{Reason: "the proxy refused: " + http.StatusText(r.StatusCode), Status: r.StatusCode, Header: r.Header}
	case in.Buffered() > 0:
		return &HandshakeError{Reason: "the proxy sent more than its answer", Status: r.StatusCode, Header: r.Header}
	}
	return nil
}
