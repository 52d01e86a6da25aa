package admin

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
)

// changes serves a request that changes something, if that is allowed.
func (a *Admin) changes(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.config.Write {
			http.Error(w, "this server is only looked at: start it with --admin-write to change things", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		h(w, r)
	}
}

// drain begins a shutdown.
func (a *Admin) drain(w http.ResponseWriter, r *http.Request) {
	a.config.Logger.Info("told to drain", "peer", r.RemoteAddr)
	a.config.Drain()
	io.WriteString(w, "draining\n")
}

// setLevel changes the level of the log: level is debug, info, warn or error.
func (a *Admin) setLevel(w http.ResponseWriter, r *http.Request) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(r.FormValue("level"))); err != nil {
		http.Error(w, fmt.Sprintf("level=%q: there are debug, info, warn and error", r.FormValue("level")), http.StatusBadRequest)
		return
	}
	a.config.Level.Set(level)
	a.config.Logger.Log(r.Context(), max(level, slog.LevelInfo), "the level of the log is changed", "level", level.String(), "peer", r.RemoteAddr)
	fmt.Fprintln(w, "the level is", level)
}

// closeConnection ends a connection: id is that of /connections, how is close or abort.
func (a *Admin) closeConnection(w http.ResponseWriter, r *http.Request) {
	how := r.FormValue("how")
	if how != "close" && how != "abort" {
		http.Error(w, fmt.Sprintf("how=%q: close ends it in order, abort at once", how), http.StatusBadRequest)
		return
	}
	c := a.find(r.FormValue("id"))
	if c == nil {
		http.Error(w, "there is no such connection (any more)", http.StatusNotFound)
		return
	}
	a.config.Logger.Info("told to end a connection", "how", how, "remote", c.RemoteAddr().String(), "peer", r.RemoteAddr)
	if how == "close" {
		c.Close()
	} else {
		c.Abort()
	}
	io.WriteString(w, "it ends\n")
}
