package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/cupwriter"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/admin"
	"github.com/switchboard-go/switchboard/websocket"
)

// A topping is what the flags of top ask for.
type topping struct {
	token string
	n     int
}

func topCommand() *cobra.Command {
	t := &topping{}
	cmd := &cobra.Command{
		Use:   "top ADDRESS",
		Short: "Show what goes on in a server that has an admin page",
		Long: `Show what goes on in a server that was started with --admin ADDRESS, once a second, until ^C: connections, rates, how
long turns of the loops take, how busy each loop is, memory, what is paused and why.

On a terminal it is a screen that is kept current; it connects again when the server comes back. Elsewhere it is a line
each second.`,
		Example: "  switchboard serve echo --admin 127.0.0.1:9090 &\n" +
			"  switchboard top 127.0.0.1:9090\n" +
			"  switchboard top unix:/run/echo-admin.sock -n 10",
		Args:              oneAddress,
		ValidArgsFunction: completeAddresses,
		RunE:              func(_ *cobra.Command, args []string) error { return t.run(args[0]) },
	}
	cmd.Flags().StringVar(&t.token, "token", "", "`FILE` with the token of the admin page (--admin-token of serve)")
	cmd.Flags().IntVarP(&t.n, "count", "n", 0, "exit after this many seconds (0: never)")
	return cmd
}

// oneAddress is for commands that take the address of a server.
func oneAddress(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("takes one ADDRESS, and got %d", len(args))
	}
	return nil
}

func (t *topping) run(text string) error {
	at, err := liveURL(text)
	if err != nil {
		return err
	}
	if t.n < 0 {
		return fmt.Errorf("--count %d: it cannot be negative (0 is never)", t.n)
	}
	header := http.Header{}
	if t.token != "" {
		token, err := os.ReadFile(t.token)
		if err != nil {
			return failure{exitFailed, fmt.Errorf("--token: %w", err)}
		}
		header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	server := &switchboard.Server{Loops: 1, SlowCall: -1, Logger: slog.New(slog.DiscardHandler)}
	defer server.Close()
	d := &websocket.Dialer{Server: server, Header: header, Options: websocket.Options{MaxMessage: 1 << 20, PingInterval: 10 * time.Second,
		Deflate: &websocket.Deflate{}}}
	screen := newTopScreen(os.Stdout, text)
	defer screen.close()
	w := &watching{ctx: ctx, dialer: d, url: at, screen: screen, left: t.n, endless: t.n == 0}
	if err := w.run(); err != nil {
		screen.close()
		return failure{exitFailed, fmt.Errorf("top %s: %w", text, t.hinted(err))}
	}
	return nil
}

// hinted says beside an error what may help.
func (t *topping) hinted(err error) error {
	no, isHandshake := errors.AsType[*websocket.HandshakeError](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused(err)
	case !isHandshake || no.Status == 0:
		return err
	case no.Status == http.StatusUnauthorized && t.token == "":
		return fmt.Errorf("%w (give it the server's token with --token FILE)", err)
	case no.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w (the token of --token is not that of the server's --admin-token)", err)
	}
	return fmt.Errorf("%w (is this the address of --admin?)", err)
}

// liveURL returns the URL of the WebSocket of an admin page, whose address is HOST:PORT, http://HOST:PORT/ or unix:PATH.
func liveURL(text string) (string, error) {
	if a, err := parseAddress(text); err == nil && a.network == "unix" {
		path, err := filepath.Abs(a.name)
		return "ws+unix:" + path + ":/live", err
	}
	if !strings.Contains(text, "://") {
		if _, _, err := net.SplitHostPort(text); err != nil {
			return "", fmt.Errorf("address %q: HOST:PORT, http://HOST:PORT or unix:PATH", text)
		}
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("address %q: HOST:PORT, http://HOST:PORT or unix:PATH", text)
	}
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	return u.JoinPath("live").String(), nil
}

// watching is one run of top.
type watching struct {
	ctx     context.Context
	dialer  *websocket.Dialer
	url     string
	screen  *topScreen
	left    int // lines to show
	endless bool
	seen    bool // a frame has come
}

// redial is after how long a server that is gone is tried again.
const redial = time.Second

func (w *watching) run() error {
	for {
		err := w.watch()
		switch {
		case w.ctx.Err() != nil || !w.endless && w.left <= 0:
			return nil
		case !w.seen || !w.screen.terminal || errors.As(err, new(outputError)):
			return err
		}
		w.screen.lost(err)
		select {
		case <-time.After(redial):
		case <-w.ctx.Done():
			return nil
		}
	}
}

// watch shows frames until the server hangs up, or enough were shown.
func (w *watching) watch() error {
	h := &frameReader{frames: make(chan []byte, 1), over: make(chan error, 1)}
	c, err := w.dialer.Dial(w.ctx, w.url, h)
	if err != nil {
		return err
	}
	defer c.Close(websocket.CodeGoingAway, "")
	var before *admin.Frame
	for w.endless || w.left > 0 {
		select {
		case text := <-h.frames:
			f := new(admin.Frame)
			if err := json.NewDecoder(bytes.NewReader(text)).Decode(f); err != nil {
				return fmt.Errorf("this is not an admin page: %w", err)
			}
			w.seen = true
			if before != nil {
				if rates, ok := admin.RatesOf(before, f); ok {
					if err := w.screen.show(f, &rates); err != nil {
						return err
					}
					w.left--
				}
			}
			before = f
		case err := <-h.over:
			return err
		case <-w.ctx.Done():
			return nil
		}
	}
	return nil
}

// A frameReader is the handler of the WebSocket. Who is slow to show a frame misses the next ones.
type frameReader struct {
	frames chan []byte
	over   chan error
}

// Message implements websocket.Handler.
func (h *frameReader) Message(_ *websocket.Conn, _ websocket.Kind, p []byte) error {
	select {
	case h.frames <- bytes.Clone(p):
	default:
	}
	return nil
}

// Closed implements websocket.Handler.
func (h *frameReader) Closed(_ *websocket.Conn, err error) {
	if err == nil {
		err = errors.New("the server has ended")
	}
	h.over <- err
}

// terminalSize returns the columns and rows of a terminal, or what most have at least.
func terminalSize(f *os.File) (width, height int) {
	width, height, err := cupwriter.New(f, false).GetTermSize()
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}
