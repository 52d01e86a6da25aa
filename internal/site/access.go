package site

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/internal/accesslog"
	"github.com/switchboard-go/switchboard/internal/quote"
)

// Headers has h answer with more header fields, which h may replace.
func Headers(fields http.Header, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range fields {
			w.Header()[name] = append([]string(nil), values...)
		}
		h.ServeHTTP(w, r)
	})
}

// Secure is the header fields that browsers protect a site by: no guessing of types, no frames of other sites, no paths
// told to others.
func Secure() http.Header {
	return http.Header{
		"X-Content-Type-Options":  {"nosniff"},
		"X-Frame-Options":         {"SAMEORIGIN"},
		"Content-Security-Policy": {"frame-ancestors 'self'"},
		"Referrer-Policy":         {"strict-origin-when-cross-origin"},
	}
}

// A Form is how an access log is written.
type Form string

// The common form is that of NCSA's and Apache's servers; the JSON form is an object a line.
const (
	Common Form = "common"
	JSON   Form = "json"
)

// Log has the requests that h serves written to out when they are answered, a line each, in one Write: those that sample takes,
// and all that failed with a status of 500 or more.
func Log(out io.Writer, form Form, sample *accesslog.Sampler, h http.Handler) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		counted := &counter{ResponseWriter: w}
		defer func() {
			every := sample.Every()
			if !sample.Take() {
				if counted.status() < http.StatusInternalServerError {
					return
				}
				every = 1
			}
			line := commonLine(begun, r, counted)
			if form == JSON {
				line = jsonLine(begun, r, counted, every)
			}
			mu.Lock()
			defer mu.Unlock()
			out.Write(line)
		}()
		h.ServeHTTP(counted, r)
	})
}

func host(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return "-" // a Unix socket
}

// commonLine makes a line of the common form. What the client chose is quoted as in Go, so that it cannot make a line.
func commonLine(begun time.Time, r *http.Request, c *counter) []byte {
	b := append([]byte(nil), host(r)...)
	b = append(b, " - - ["...)
	b = begun.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, "] "...)
	b = strconv.AppendQuoteToASCII(b, r.Method+" "+r.RequestURI+" "+r.Proto)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(c.status()), 10)
	b = append(b, ' ')
	if c.bytes == 0 {
		return append(b, "-\n"...)
	}
	return append(strconv.AppendInt(b, c.bytes, 10), '\n')
}

// jsonLine makes a line of JSON. It stands for so many requests.
func jsonLine(begun time.Time, r *http.Request, c *counter, requests int) []byte {
	if requests == 1 {
		requests = 0 // is left out
	}
	var line bytes.Buffer
	json.NewEncoder(quote.JSON(&line)).Encode(struct {
		Time      time.Time `json:"time"`
		Peer      string    `json:"peer"`
		Method    string    `json:"method"`
		URI       string    `json:"uri"`
		Proto     string    `json:"proto"`
		Host      string    `json:"host"`
		Status    int       `json:"status"`
		Bytes     int64     `json:"bytes"`
		Seconds   float64   `json:"seconds"`
		UserAgent string    `json:"user_agent,omitempty"`
		Referer   string    `json:"referer,omitempty"`
		Requests  int       `json:"requests,omitempty"`
	}{begun, host(r), r.Method, r.RequestURI, r.Proto, r.Host, c.status(), c.bytes, time.Since(begun).Seconds(),
		r.UserAgent(), r.Referer(), requests})
	return line.Bytes()
}

// A counter is a ResponseWriter that knows what was answered.
type counter struct {
	http.ResponseWriter
	code  int // 0: nothing yet
	bytes int64
}

func (c *counter) status() int {
	if c.code == 0 {
		return http.StatusOK
	}
	return c.code
}

// WriteHeader implements http.ResponseWriter.
func (c *counter) WriteHeader(code int) {
	if code >= 200 {
		c.code = code
	}
	c.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom, by which net/http sends files.
func (c *counter) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, src)
	c.bytes += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
