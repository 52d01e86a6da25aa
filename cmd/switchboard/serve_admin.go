package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/admin"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/web"
)

// adminFlags ask for the page of the operator.
type adminFlags struct {
	address string
	token   string // the file that has it
	write   bool
	conns   int // that the page may have at once; 0: adminConns

	level slog.LevelVar // of the log
	set   *pflag.FlagSet
}

const (
	// adminSample is how many calls of handlers one is measured of, for the histograms of the page: less than 1 % of a message.
	adminSample = 16

	// adminConns are the connections that the page may have at once, if there are descriptors enough. Some more than one turn of
	// a loop accepts, so that who asks is heard before those who come after take the place.
	adminConns = 192

	// shortestToken is how many characters a token has at least.
	shortestToken = 16
)

func (f *adminFlags) add(flags *pflag.FlagSet) {
	f.set = pflag.NewFlagSet("admin", pflag.ContinueOnError)
	f.set.StringVar(&f.address, "admin", "", "`ADDRESS` of an admin page with figures, metrics, health and profiles: HOST:PORT or unix:PATH")
	f.set.StringVar(&f.token, "admin-token", "", "`FILE` with the token that clients of the admin page must send; required unless --admin is a loopback address or unix:PATH")
	f.set.BoolVar(&f.write, "admin-write", false, "let the admin page close connections, drain the server and change the log level")
	flags.AddFlagSet(f.set)
}

// check makes sure that the flags make sense together, and in this mode.
func (f *adminFlags) check(m mode) error {
	switch {
	case m.classic != nil && (f.address != "" || f.token != "" || f.write):
		return fmt.Errorf("--admin is for the mode loop, and %s has no such thing", m.name)
	case f.address == "" && (f.token != "" || f.write):
		return errors.New("--admin-token and --admin-write need --admin ADDRESS")
	case f.address == "":
		return nil
	}
	a, err := parseAddress(f.address)
	if err == nil && (strings.HasPrefix(a.network, "ws") || a.network == "fd") {
		err = fmt.Errorf("address %q: HOST:PORT or unix:PATH", f.address)
	}
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	return nil
}

// sample returns Server.SampleCalls.
func (f *adminFlags) sample() int {
	if f.address == "" {
		return 0
	}
	return adminSample
}

// leave returns how many clients there may be, at most n, so that there are descriptors left for the page.
func (f *adminFlags) leave(n int) int {
	f.conns = adminConns
	if f.address == "" || n == 0 {
		return n
	}
	f.conns = max(min(adminConns, n/4), 2)
	return max(n-f.conns-1, 1)
}

// readToken returns the token, "" if there is to be none.
func (f *adminFlags) readToken(log *slog.Logger) (string, error) {
	if f.token == "" {
		return "", nil
	}
	text, err := os.ReadFile(f.token)
	if err != nil {
		return "", failure{exitFailed, fmt.Errorf("--admin-token: %w", err)}
	}
	token := strings.TrimSpace(string(text))
	if len(token) < shortestToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("--admin-token %s: it must hold one line of at least %d printable ASCII characters (try: openssl rand -hex 16)",
			f.token, shortestToken)
	}
	certs.WarnExposed(log, f.token)
	return token, nil
}

// serve begins to serve the page of a service's server, if there is to be one. drain begins the shutdown of what it shows. end ends
// the page, and may be called again. succeeds says that another process, which this one takes over from, may hold the address
// for a while: it is waited for.
func (f *adminFlags) serve(log *slog.Logger, g loopService, server *switchboard.Server, drain func(), succeeds bool) (end func(), err error) {
	if f.address == "" {
		return func() {}, nil
	}
	token, err := f.readToken(log)
	if err != nil {
		return nil, err
	}
	at, err := parseAddress(f.address)
	if err != nil {
		return nil, err
	}
	l, err := listen(at)
	if succeeds && errors.Is(err, syscall.EADDRINUSE) {
		return f.serveLater(log, g, server, drain), nil
	}
	if err != nil {
		return nil, failure{exitFailed, fmt.Errorf("--admin: %w", err)}
	}
	if err := f.checkReach(log, l, token); err != nil {
		l.Close()
		return nil, err
	}
	shown := admin.New(admin.Config{Servers: append([]admin.Server{{Server: server, Name: g.name}}, g.servers...), Service: g.name,
		Token: token, Write: f.write, Drain: drain, Level: &f.level, Logger: log, MostConns: cmp.Or(f.conns, adminConns), Sources: g.figures})
	loops := &switchboard.Server{Loops: 1, MaxConns: cmp.Or(f.conns, adminConns), Logger: log, Trace: shown.Trace()}
	pages := &web.Server{Loops: loops, HTTP: &http.Server{
		Handler:           shown.Handler(),
		MaxHeaderBytes:    16 << 10,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	log.Info("admin page at "+pageURL(l), "service", g.name)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := pages.ServeSocket(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, switchboard.ErrServerClosed) {
			log.Error("the admin page is not served any more", "error", err)
		}
	}()
	return func() {
		shown.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // for the last answer
		defer cancel()
		loops.Shutdown(ctx)
		<-served
	}, nil
}

// serveLater is serve as soon as the address is free.
func (f *adminFlags) serveLater(log *slog.Logger, g loopService, server *switchboard.Server, drain func()) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond) // nobody serves the page meanwhile
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			end, err := f.serve(log, g, server, drain, false)
			if errors.Is(err, syscall.EADDRINUSE) {
				continue
			}
			if err != nil {
				log.Error("there is no admin page", "error", err)
				return
			}
			<-ctx.Done()
			end()
			return
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// checkAll checks what check does not open: the token, and whether there must be one.
func (f *adminFlags) checkAll(log *slog.Logger) error {
	token, err := f.readToken(log)
	if err != nil || f.address == "" || token != "" {
		return err
	}
	a, err := parseAddress(f.address)
	if err != nil || a.network == "unix" {
		return err
	}
	host, _, err := net.SplitHostPort(a.name)
	if err != nil {
		return err
	}
	if host == "" {
		return f.needsToken()
	}
	addrs, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil {
		return failure{exitFailed, fmt.Errorf("--admin: %w", err)}
	}
	if !addrs[0].Unmap().IsLoopback() {
		return f.needsToken()
	}
	return nil
}

func (f *adminFlags) needsToken() error {
	return fmt.Errorf("--admin %s is reached from other hosts: it needs --admin-token FILE, or listen on 127.0.0.1", f.address)
}

// checkReach makes sure that nobody but this host reaches the page without a token.
func (f *adminFlags) checkReach(log *slog.Logger, l *socket.Socket, token string) error {
	addr, err := l.LocalAddr()
	if err != nil {
		return err
	}
	if addr.Family() == socket.AF_UNIX || addr.AddrPort().Addr().Unmap().IsLoopback() {
		return nil
	}
	if token == "" {
		return f.needsToken()
	}
	log.Warn("the admin page speaks plain HTTP: whoever can listen on the way reads its token (put it behind TLS, or reach it with ssh -L)",
		"address", f.address)
	return nil
}

// pageURL is where the page of a listener is.
func pageURL(l *socket.Socket) string {
	at := whereabouts(l)
	if _, _, err := net.SplitHostPort(at); err == nil && !strings.HasPrefix(at, "unix:") {
		return "http://" + at + "/"
	}
	return at
}
