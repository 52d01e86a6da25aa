package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/site"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/web"
)

// A webServing is what the flags of serve web ask for besides those of serve.
type webServing struct {
	*serving
	root          string
	pages         bool
	accessLog     string
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

Files have their types, ranges and dates; text is compressed for clients that take gzip. Names that begin with a dot are
not served, but for .well-known, and neither is what a symbolic link leads to outside the directory. A directory is its
index.html; without one it is not found, or a list of its files with --pages.

Idle connections have no goroutine. --idle-timeout is how long one may wait for its next request. At a shutdown what has
begun is answered.`,
		Example: "  switchboard serve web --root public --listen :8080\n" +
			"  switchboard serve web --root public --listen :443 --tls-cert site.pem --tls-key site.key --hsts 8760h\n" +
			"  switchboard serve web --root . --pages --access-log common",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&w.root, "root", "r", "", "`DIR`ectory whose files are served")
	flags.BoolVar(&w.pages, "pages", false, "show a directory without index.html as a list of its files")
	flags.StringVar(&w.accessLog, "access-log", "off", "a line for each request on standard output: common, json, off")
	flags.StringArrayVar(&w.headers, "header", nil, "`FIELD` of every answer, \"Name: value\", any number of times; it replaces one of the same name")
	flags.DurationVar(&w.hsts, "hsts", 0, "have browsers come back over TLS alone for so long (0: do not say so)")
	flags.Var(&w.maxHeader, "max-header", "bytes that the header of a request may have")
	flags.DurationVar(&w.headerTimeout, "header-timeout", 10*time.Second, "hang up on a client whose header takes so long (0: never)")
	flags.DurationVar(&w.readTimeout, "request-timeout", time.Minute, "hang up on a client whose request takes so long (0: never)")
	flags.DurationVar(&w.answerTimeout, "answer-timeout", 0, "hang up on a client that takes so long for its answer (0: never)")
	flags.DurationVar(&w.parkAfter, "park-after", 250*time.Millisecond, "an idle connection gives its goroutine back after so long (0: never)")
	cmd.MarkFlagDirname("root")
	cmd.RegisterFlagCompletionFunc("access-log",
		cobra.FixedCompletions([]string{"common", "json", "off"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (w *webServing) run(cmd *cobra.Command) error {
	if err := w.checkLoop(cmd); err != nil {
		return err
	}
	if !cmd.Flags().Changed("idle-timeout") {
		w.idleTimeout = 2 * time.Minute
	}
	form := site.Form(w.accessLog)
	secured := len(w.loop.tls.certs) > 0 || w.loop.tls.selfSigned
	switch {
	case w.root == "":
		return errors.New("which directory? Give --root DIR")
	case form != site.Common && form != site.JSON && w.accessLog != "off":
		return fmt.Errorf("unknown --access-log %q: there are common, json and off", w.accessLog)
	case w.hsts < 0 || w.headerTimeout < 0 || w.readTimeout < 0 || w.answerTimeout < 0 || w.parkAfter < 0:
		return errors.New("a time cannot be negative (0 is never)")
	case w.hsts > 0 && !secured:
		return errors.New("--hsts needs --tls-cert and --tls-key")
	case w.maxHeader < 1<<10 || w.maxHeader > 16<<20:
		return fmt.Errorf("--max-header %s: 1k to 16M", &w.maxHeader)
	}
	fields, err := w.fields()
	if err != nil {
		return err
	}
	files, err := site.Open(w.root, w.pages)
	if err != nil {
		return failure{exitFailed, fmt.Errorf("--root: %w", err)}
	}
	defer files.Close()
	handler := site.Headers(fields, files)
	if w.accessLog != "off" {
		handler = site.Log(os.Stdout, form, handler)
	}
	w.loop.tls.protocols = []string{"http/1.1"}
	log := w.logger()
	w.limitPairs(cmd.Flags(), log)
	server := &web.Server{HTTP: w.httpServer(handler, log), ParkAfter: orNever(w.parkAfter), FreeMemory: true}
	return w.serveOnLoops(log, guest{
		name: "web",
		prepare: func(loops *switchboard.Server) {
			server.Loops = loops
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

// tokenChars are what the name of a field is made of, RFC 9110, section 5.6.2.
const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// fields are those of every answer.
func (w *webServing) fields() (http.Header, error) {
	fields := site.Secure()
	if w.hsts > 0 {
		fields.Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", int(w.hsts.Seconds())))
	}
	given := http.Header{}
	for _, field := range w.headers {
		name, value, found := strings.Cut(field, ":")
		value = strings.TrimSpace(value)
		if !found || strings.Trim(name, tokenChars) != "" || name == "" || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, fmt.Errorf("--header %q: it is \"Name: value\"", field)
		}
		given.Add(name, value)
	}
	for name, values := range given {
		fields[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	return fields, nil
}
