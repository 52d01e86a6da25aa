// Package admin is what an operator sees of a server over HTTP: metrics, health, profiles, connections, and a page that draws
// its figures as time goes on.
package admin

import (
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/metrics"
)

// Config says what an Admin shows. It must not change once the Admin is made.
type Config struct {
	// Servers are what is looked at, at least one.
	Servers []Server

	// Service is the name that the page shows.
	Service string

	// Token must come with every request, but for those to /healthz and /readyz. Without one, requests must name the host by
	// its IP address or as localhost, so that no page of the web can reach it by a name of its own (DNS rebinding).
	Token string

	// Write allows to close connections, to drain and to change the level of the log.
	Write bool

	// Drain begins the shutdown of the servers. It must not wait.
	Drain func()

	// Level is that of the log.
	Level *slog.LevelVar

	// Logger is told of what is changed.
	Logger *slog.Logger

	// MostConns is how many connections the page may have at once, see Admin.Trace; 0 is any number.
	MostConns int

	// Sources are more figures for /metrics.
	Sources []metrics.Source
}

// A Server is one of those that are looked at.
type Server struct {
	*switchboard.Server
	Name string // a label of its figures, if there are several
}

// An Admin serves the figures of servers. Close ends its goroutines.
type Admin struct {
	config Config
	began  time.Time
	auth   authorizer
	live   live
	pulses []pulse
	places places
}

// livePath is where viewers connect to.
const livePath = "/live"

// New returns an Admin.
func New(config Config) *Admin {
	a := &Admin{config: config, began: time.Now(), pulses: make([]pulse, len(config.Servers))}
	a.auth = newAuthorizer(config.Token)
	a.live.read = a.frame
	a.places.most = config.MostConns
	return a
}

// Trace is for the server of the page. Before there are Config.MostConns connections it resets one that is asked for nothing:
// so strangers, who may open connections and say nothing, keep nobody from being answered.
func (a *Admin) Trace() *switchboard.Trace { return a.places.trace() }

// Close ends what Live began.
func (a *Admin) Close() { a.live.close() }

// Handler answers requests. Any number of goroutines may call it.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage)
	mux.Handle("GET /metrics", metrics.Handler(a.sources()...))
	mux.HandleFunc("GET /connections", a.serveConnections)
	mux.HandleFunc("POST /connections/close", a.changes(a.closeConnection))
	mux.HandleFunc("POST /drain", a.changes(a.drain))
	mux.HandleFunc("POST /log-level", a.changes(a.setLevel))
	all := http.NewServeMux()
	all.Handle("/", make(slots, mostAnswered).serves("requests", mux))
	all.Handle("GET "+livePath, a.live.upgrader())
	for path, h := range map[string]http.HandlerFunc{"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "trace": pprof.Trace,
		"symbol": pprof.Symbol} {
		all.Handle("/debug/pprof/"+path, make(slots, mostProfiles).serves("profiles of this kind", h))
	}
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", a.serveHealth)
	open.HandleFunc("GET /readyz", a.serveReadiness)
	open.Handle("/", a.auth.guard(a.places.serves(all)))
	return http.NewCrossOriginProtection().Handler(withFields(open))
}

// withFields adds the header fields of every answer: no browser keeps it, guesses its type or frames it.
func withFields(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := w.Header()
		f.Set("Cache-Control", "no-store")
		f.Set("X-Content-Type-Options", "nosniff")
		f.Set("Referrer-Policy", "no-referrer")
		h.ServeHTTP(w, r)
	})
}

func (a *Admin) sources() []metrics.Source {
	var all []metrics.Source
	for _, s := range a.config.Servers {
		if len(a.config.Servers) == 1 {
			all = append(all, metrics.Server(s.Server))
		} else {
			all = append(all, metrics.Server(s.Server, "server", s.Name))
		}
	}
	return append(append(all, a.config.Sources...), metrics.Process)
}
