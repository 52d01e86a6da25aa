package metrics

import (
	"bytes"
	"net/http"
	"strconv"
)

// contentType is that of the text format, version 0.0.4.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// Handler answers GET with the figures of the sources. It answers 500, with the reason, if they do not make a valid text.
func Handler(sources ...Source) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			rw.Header().Set("Allow", "GET, HEAD")
			http.Error(rw, "figures are only read: use GET", http.StatusMethodNotAllowed)
			return
		}
		var w Writer
		for _, write := range sources {
			write(&w)
		}
		var text bytes.Buffer
		if _, err := w.WriteTo(&text); err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", contentType)
		rw.Header().Set("Content-Length", strconv.Itoa(text.Len()))
		rw.Write(text.Bytes())
	})
}
