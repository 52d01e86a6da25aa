package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/accesslog"
	"github.com/switchboard-go/switchboard/internal/field"
	"github.com/switchboard-go/switchboard/internal/site"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/web"
)

// A webServing is what the flags of serve web ask for besides those of serve.
type webServing struct {
	*serving
	root          string
	pages         bool
	access        accessLogFlags
	headers       []string
	hsts          time.Duration
	maxHeader     size
	headerTimeout time.Duration
	readTimeout   time.Duration
	answerTimeout time.Duration
	parkAfter     time.Duration
}

func webCommand(s *serving) *cobra.Command {
	w := &webServing{serving: s, maxHeader: 64 << 10}
	cmd := &cobra.Command{
		Use:   "web --root DIR",
		Short: "Serve the files of a directory over HTTP/1.1",
		Long: `Serve the files of a directory over HTTP/1.1, or HTTPS with --tls-cert or --tls-self-signed.

The server sends types and dates, and answers range and conditional requests. It compresses text if the client takes gzip. It does not
serve names that begin with a dot, except .well-known, and symbolic links that lead out of the directory. For a directory it serves
index.html; without one it answers 404, or with --pages a list of the files.

Idle connections have no goroutine. --idle-timeout limits the time between two requests. At a shutdown, requests that have begun are
answered.`,
		Example: "  switchboard serve web --root public --listen :8080\n" +
			"  switchboard serve web --root public --listen :443 --tls-cert site.pem --tls-key site.key --hsts 8760h\n" +
			"  switchboard serve web --root . --pages --access-log common",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&w.root, "root", "r", "", "`DIR`ectory to serve")
	flags.BoolVar(&w.pages, "pages", false, "list the files of a directory without index.html")
	w.access.addTo(cmd, "requests", string(site.Common))
	flags.StringArrayVar(&w.headers, "header", nil, "`FIELD` for every answer, \"Name: value\", in place of one with the same name; may be repeated")
	flags.DurationVar(&w.hsts, "hsts", 0, "tell browsers to use only HTTPS for this long (Strict-Transport-Security; 0: do not)")
	flags.Var(&w.maxHeader, "max-header", "limit of the header of a request")
	flags.DurationVar(&w.headerTimeout, "header-timeout", 10*time.Second, "limit of the time to receive the header of a request (0: no limit)")
	flags.DurationVar(&w.readTimeout, "request-timeout", time.Minute, "limit of the time to receive a request (0: no limit)")
	flags.DurationVar(&w.answerTimeout, "answer-timeout", 0, "limit of the time to send an answer (0: no limit)")
	flags.DurationVar(&w.parkAfter, "park-after", 250*time.Millisecond, "time after an answer at which an idle connection gives up its goroutine (0: never)")
	cmd.MarkFlagDirname("root")
	return cmd
}

// leastCompressors is how many answers serve web compresses at the same time, however low --memory-limit is. With a higher one an
// eighth of it is for them: a loop cannot count that memory for a connection.
const leastCompressors = 4

func (w *webServing) run(cmd *cobra.Command) error {
	if err := w.checkLoop(cmd); err != nil {
		return err
	}
	if !cmd.Flags().Changed("idle-timeout") {
		w.idleTimeout = 2 * time.Minute
	}
	secured := len(w.loop.tls.certs) > 0 || w.loop.tls.selfSigned
	switch {
	case w.root == "":
		return errors.New("which directory? Give --root DIR")
	case w.hsts > 0 && !secured:
		return errors.New("--hsts needs --tls-cert and --tls-key")
	case w.maxHeader < 1<<10 || w.maxHeader > 16<<20:
		return fmt.Errorf("--max-header %s: 1k to 16M", &w.maxHeader)
	}
	fields, err := w.fields()
	if err == nil {
		err = w.access.check()
	}
	if err != nil {
		return err
	}
	files, err := site.Open(w.root, w.pages)
	if err != nil {
		return failure{exitFailed, fmt.Errorf("--root: %w", err)}
	}
	defer files.Close()
	handler := site.Headers(fields, files)
	w.loop.tls.protocols = []string{"http/1.1"}
	log := w.logger()
	w.limitPairs(cmd.Flags(), log)
	if w.access.on() {
		lines := w.access.open(log)
		defer lines.Close(accessFlushTime)
		handler = site.Log(lines, site.Form(w.access.form), accesslog.Sample(w.access.sample), handler)
	}
	server := &web.Server{HTTP: w.httpServer(handler, log), ParkAfter: orNever(w.parkAfter), FreeMemory: true}
	return w.serveOnLoops(log, loopService{
		name:     "web",
		takeOver: server.Takeover,
		prepare: func(loops *switchboard.Server) {
			server.Loops = loops
			if limit := loops.MemoryLimit; limit > 0 {
				files.Compressors = int(min(max(limit/8/site.CompressorSize, leastCompressors), 1<<20))
			}
			loops.IdleTimeout = 0 // it is http.Server's
			loops.InputLimit = max(loops.InputLimit, int(w.maxHeader)+8<<10)
			if loops.Engine == "auto" {
				loops.Engine = "" // the one that suits package web
			}
		},
		serve: func(l *socket.Socket) error {
			err := server.ServeSocket(l)
			if errors.Is(err, http.ErrServerClosed) {
				return switchboard.ErrServerClosed
			}
			return err
		},
	})
}

func (w *webServing) httpServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		MaxHeaderBytes:    int(w.maxHeader),
		ReadHeaderTimeout: orNever(w.headerTimeout),
		ReadTimeout:       w.readTimeout,
		WriteTimeout:      w.answerTimeout,
		IdleTimeout:       orNever(w.idleTimeout),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// fields are those of every answer.
func (w *webServing) fields() (http.Header, error) {
	fields := site.Secure()
	if w.hsts > 0 {
		fields.Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", int(w.hsts.Seconds())))
	}
	given := http.Header{}
	for _, text := range w.headers {
		name, value, err := parseField("header", text, field.Answer)
		if err != nil {
			return nil, err
		}
		given.Add(name, value)
	}
	for name, values := range given {
		fields[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	return fields, nil
}
