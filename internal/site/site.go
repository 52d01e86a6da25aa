// Package site answers HTTP requests with the files of a directory.
package site

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"sort"
	"strings"
	"sync/atomic"
	"syscall"
)

// A Site is the files below a directory, as an http.Handler. Nothing outside of it is reached: not with "..", nor through a
// symbolic link.
type Site struct {
	// Compressors limits how many answers are compressed at the same time; further ones are sent as they are. Each
	// takes CompressorSize for as long as its client takes to read the answer. 0 means no limit.
	Compressors int

	root        *os.Root
	pages       bool         // of directories
	compressing atomic.Int64 // answers
}

// Open returns the site of a directory. With pages, a directory without an index.html is shown as a list.
func Open(directory string, pages bool) (*Site, error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, err
	}
	return &Site{root: root, pages: pages}, nil
}

// Close gives the directory back.
func (s *Site) Close() error { return s.root.Close() }

// ServeHTTP implements http.Handler.
//
// Names that begin with a dot do not exist, but for ".well-known" (RFC 8615). Neither do devices, pipes and sockets.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	asked := r.URL.Path
	clean := path.Clean("/" + asked)
	if hidden(clean) || strings.ContainsAny(asked, "\x00\\") {
		http.NotFound(w, r)
		return
	}
	name := strings.TrimPrefix(clean, "/")
	if name == "" {
		name = "."
	}
	info, err := s.root.Stat(name)
	switch {
	case err != nil:
		fail(w, r, err)
	case info.IsDir() && !strings.HasSuffix(asked, "/"):
		redirect(w, r, path.Base(clean)+"/")
	case info.IsDir():
		s.serveDirectory(w, r, name)
	case strings.HasSuffix(asked, "/"): // a file is no directory
		redirect(w, r, "../"+path.Base(clean))
	default:
		s.serveFile(w, r, name)
	}
}

// hidden tells whether a part of a clean path begins with a dot.
func hidden(clean string) bool {
	for part := range strings.SplitSeq(clean, "/") {
		if strings.HasPrefix(part, ".") && part != ".well-known" {
			return true
		}
	}
	return false
}

func (s *Site) serveDirectory(w http.ResponseWriter, r *http.Request, name string) {
	index := path.Join(name, "index.html")
	info, err := s.root.Stat(index)
	switch {
	case err == nil && !info.IsDir():
		s.serveFile(w, r, index)
	case err != nil && !missing(err):
		fail(w, r, err)
	case s.pages:
		s.servePage(w, r, name)
	default:
		http.NotFound(w, r)
	}
}

func (s *Site) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	info, err := s.root.Stat(name)
	if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		err = fs.ErrNotExist
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	f, err := s.root.Open(name)
	if err != nil {
		fail(w, r, err)
		return
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	// A weak tag: a compressed answer has the same one.
	w.Header().Set("ETag", fmt.Sprintf(`W/"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	if kind := typeOf(name); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	s.serve(w, r, info.Size(), func(w http.ResponseWriter) { http.ServeContent(w, r, name, info.ModTime(), f) })
}

// servePage lists a directory.
func (s *Site) servePage(w http.ResponseWriter, r *http.Request, name string) {
	d, err := s.root.Open(name)
	if err != nil {
		fail(w, r, err)
		return
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		fail(w, r, err)
		return
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'")
	title := html.EscapeString(path.Clean("/" + name))
	fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>%s</title>\n<h1>%[1]s</h1>\n<ul>\n", title)
	if name != "." {
		fmt.Fprintln(w, `<li><a href="../">../</a>`)
	}
	for _, e := range entries {
		if hidden(e.Name()) || !e.IsDir() && !e.Type().IsRegular() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		shown := e.Name()
		if e.IsDir() {
			shown += "/"
		}
		link := url.URL{Path: "./" + shown} // a name with a colon is no scheme
		fmt.Fprintf(w, "<li><a href=\"%s\">%s</a>\n", html.EscapeString(link.String()), html.EscapeString(shown))
	}
	fmt.Fprintln(w, "</ul>\n</html>")
}

// fail answers what the system says about a file. Nobody learns more than that it cannot be had.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		http.Error(w, "403 forbidden", http.StatusForbidden)
	case missing(err):
		http.NotFound(w, r)
	case short(err):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "503 service unavailable", http.StatusServiceUnavailable)
	default:
		http.Error(w, "500 internal server error", http.StatusInternalServerError)
	}
}

// missing tells whether err says that a name is of no file: there is none, it is too long, goes through a file, or leaves the
// site. Each system has numbers of its own for these.
func missing(err error) bool {
	var at *fs.PathError
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &at) && at.Op != "read" && !short(err) && !errors.Is(err, syscall.EIO)
}

// short tells whether err says that the process or the system had too little left of something: the file may well be there.
func short(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// redirect sends the client to a path beside the one it asked for.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	link := (&url.URL{Path: to}).String()
	if to != ".." && !strings.HasPrefix(to, "../") && !strings.HasPrefix(link, "./") {
		link = "./" + link
	}
	if r.URL.RawQuery != "" {
		link += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", link)
	w.WriteHeader(http.StatusMovedPermanently)
}
