package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/websocket"
)

const (
	every      = time.Second // comes a frame
	mostViewer = 32          // at once; more are refused
)

// live sends frames to everybody who looks. While nobody looks it does nothing.
type live struct {
	read func() *Frame

	mu      sync.Mutex
	viewers map[*websocket.Conn]struct{}
	closed  bool
	stop    chan struct{} // nil while nobody looks
}

func (l *live) upgrader() http.Handler {
	return &websocket.Upgrader{
		Handler: viewer{l},
		Options: websocket.Options{MaxMessage: 1 << 10, MaxControl: 20, PingInterval: 25 * time.Second, Deflate: &websocket.Deflate{}},
		Check: func(*http.Request, http.Header) (websocket.Handler, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.viewers) >= mostViewer {
				return nil, &websocket.Refusal{Status: http.StatusServiceUnavailable, Text: fmt.Sprintf("%d dashboards are open already", mostViewer)}
			}
			return nil, nil
		},
	}
}

// A viewer is the handler of the WebSockets of those who look. What they say is not listened to.
type viewer struct{ live *live }

// Opened implements websocket.Opener.
func (v viewer) Opened(c *websocket.Conn) error { return v.live.add(c) }

// Message implements websocket.Handler.
func (viewer) Message(*websocket.Conn, websocket.Kind, []byte) error { return nil }

// Closed implements websocket.Handler.
func (v viewer) Closed(c *websocket.Conn, _ error) { v.live.remove(c) }

func (l *live) add(c *websocket.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &websocket.CloseError{Code: websocket.CodeGoingAway}
	}
	if len(l.viewers) >= mostViewer { // more came at once than Check could know of
		return &websocket.CloseError{Code: websocket.CodeTryLater, Reason: fmt.Sprintf("%d dashboards are open already", mostViewer)}
	}
	if l.viewers == nil {
		l.viewers = map[*websocket.Conn]struct{}{}
	}
	l.viewers[c] = struct{}{}
	if l.stop == nil {
		l.stop = make(chan struct{})
		go l.run(l.stop)
	}
	return nil
}

func (l *live) remove(c *websocket.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.viewers, c)
	if len(l.viewers) == 0 {
		l.end()
	}
}

// end stops run. mu is held.
func (l *live) end() {
	if l.stop != nil {
		close(l.stop)
		l.stop = nil
	}
}

func (l *live) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.end()
}

// run sends a frame at once, and one after the other until stop.
func (l *live) run(stop chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		text, err := json.Marshal(l.read())
		if err != nil {
			panic(err) // there is nothing in a Frame that JSON does not know
		}
		frame, err := websocket.Prepare(websocket.Text, text)
		if err != nil {
			panic(err)
		}
		l.mu.Lock()
		for c := range l.viewers {
			if !c.Full() { // who reads slowly misses some
				c.WritePrepared(frame)
			}
		}
		l.mu.Unlock()
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}
