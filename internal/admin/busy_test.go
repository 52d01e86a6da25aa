package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/switchboard-go/switchboard/websocket"
)

func TestRequestsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, all = 3, 10
		now, peak := 0, 0
		release := make(chan struct{})
		h := make(slots, most).serves("requests", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			now++ // they come and go one after the other
			peak = max(peak, now)
			<-release
			now--
		}))
		answers := make(chan *httptest.ResponseRecorder, all)
		ask := func(ctx context.Context) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			answers <- w
		}
		for range most {
			go ask(t.Context())
			synctest.Wait()
		}
		for range all - most - 1 {
			go ask(t.Context())
		}
		gone, cancel := context.WithCancel(t.Context())
		go ask(gone)
		synctest.Wait()
		cancel()
		if w := <-answers; w.Body.Len() > 0 {
			t.Errorf("the client is gone: %s", w.Body)
		}
		for range all - most - 1 {
			w := <-answers
			if w.Code != 503 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "3 requests are being answered") {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		}
		go ask(t.Context()) // its turn comes before it has waited for too long
		synctest.Wait()
		for range most + 1 {
			release <- struct{}{}
			if w := <-answers; w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			synctest.Wait()
		}
		if peak != most {
			t.Errorf("%d were answered at once, and not %d", peak, most)
		}
	})
}

func TestDashboardsAreFew(t *testing.T) {
	l := live{stop: make(chan struct{})} // run is not needed
	var conns []*websocket.Conn
	for i := range mostViewer + 1 {
		conns = append(conns, new(websocket.Conn))
		err := l.add(conns[i])
		var refused *websocket.CloseError
		if i < mostViewer && err != nil || i == mostViewer && (!errors.As(err, &refused) || refused.Code != websocket.CodeTryLater) {
			t.Errorf("%d: %v", i, err)
		}
	}
	l.remove(conns[0])
	if err := l.add(conns[mostViewer]); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}
