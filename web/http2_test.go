package web_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
)

// HTTP/2 in the clear is net/http's own: it takes such a connection over, and keeps its goroutine.
func TestHTTP2InTheClear(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		hs := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Proto, " ")
			io.Copy(w, r.Body)
		})}
		hs.Protocols.SetHTTP1(true)
		hs.Protocols.SetUnencryptedHTTP2(true)
		url := "http://" + serve(hs)
		transport := &http.Transport{Protocols: new(http.Protocols)}
		defer transport.CloseIdleConnections()
		transport.Protocols.SetUnencryptedHTTP2(true)
		hc := &http.Client{Transport: transport, Timeout: patience}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				said := bytes.Repeat([]byte{byte('a' + i)}, 20_000*i)
				r, err := hc.Post(url, "text/plain", bytes.NewReader(said))
				if err != nil {
					t.Error(err)
					return
				}
				defer r.Body.Close()
				if heard, err := io.ReadAll(r.Body); err != nil || string(heard) != "HTTP/2.0 "+string(said) {
					t.Errorf("heard %d bytes of %d, %v", len(heard), len(said), err)
				}
			})
		}
		wg.Wait()
		if r, err := http.Get(url); err != nil { // HTTP/1.1 beside it
			t.Error(err)
		} else {
			r.Body.Close()
		}
	})
}
