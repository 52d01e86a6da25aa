package site

import (
	"compress/gzip"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// types are those of a web site's files, whatever the system's tables say.
var types = map[string]string{
	".avif": "image/avif", ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".gif": "image/gif",
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".ico": "image/vnd.microsoft.icon",
	".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".md": "text/markdown; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".pdf": "application/pdf",
	".png": "image/png", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm",
	".webm": "video/webm", ".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff2": "font/woff2",
	".xml": "application/xml", ".gz": "application/gzip", ".zip": "application/zip",
}

func typeOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if kind := types[ext]; kind != "" {
		return kind
	}
	return mime.TypeByExtension(ext)
}

// leastCompressed is the size below which an answer fits a packet anyway.
const leastCompressed = 1 << 10

// compresses tells whether bytes of a type become fewer.
func compresses(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+xml") || strings.HasSuffix(kind, "+json") ||
		kind == "application/json" || kind == "application/xml" || kind == "application/wasm"
}

// accepts tells whether the client takes gzip, RFC 9110, section 12.5.3.
func accepts(header string) bool {
	any := false
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		takes := true
		if name, value, found := strings.Cut(weight, "="); found && strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			takes = err == nil && q > 0
		}
		switch coding {
		case "gzip", "x-gzip":
			return takes
		case "*":
			any = takes
		}
	}
	return any
}

// A compressor is a ResponseWriter that compresses a whole answer, and leaves every other one as it is.
type compressor struct {
	http.ResponseWriter
	zip     *gzip.Writer // nil: it does not
	decided bool
}

// CompressorSize is about how many bytes a gzip.Writer takes.
const CompressorSize = 1 << 20

var zips = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// serve calls f with a ResponseWriter that compresses for clients who take it, if an answer of size bytes is worth it.
func (s *Site) serve(w http.ResponseWriter, r *http.Request, size int64, f func(http.ResponseWriter)) {
	if size < leastCompressed || !compresses(w.Header().Get("Content-Type")) {
		f(w)
		return
	}
	w.Header().Add("Vary", "Accept-Encoding")
	if !accepts(r.Header.Get("Accept-Encoding")) || r.Header.Get("Range") != "" {
		f(w)
		return
	}
	defer s.compressing.Add(-1)
	if n := s.compressing.Add(1); s.Compressors > 0 && n > int64(s.Compressors) {
		f(w) // clients that do not read their answers must not cost more memory
		return
	}
	c := &compressor{ResponseWriter: w}
	f(c)
	if c.zip != nil {
		c.zip.Close()
		c.zip.Reset(nil)
		zips.Put(c.zip)
	}
}

// WriteHeader implements http.ResponseWriter.
func (c *compressor) WriteHeader(code int) {
	if !c.decided {
		c.decided = true
		if code == http.StatusOK {
			c.Header().Set("Content-Encoding", "gzip")
			c.Header().Del("Content-Length")
			c.Header().Del("Accept-Ranges")
		}
	}
	c.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (c *compressor) Write(p []byte) (int, error) {
	if !c.decided {
		c.WriteHeader(http.StatusOK)
	}
	if c.Header().Get("Content-Encoding") != "gzip" {
		return c.ResponseWriter.Write(p)
	}
	if c.zip == nil {
		c.zip = zips.Get().(*gzip.Writer)
		c.zip.Reset(c.ResponseWriter)
	}
	return c.zip.Write(p)
}
