package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/metrics"
)

// A figure of the program's own stands beside those of its server.
func ExampleHandler() {
	var dropped atomic.Int64
	dropped.Add(3)
	own := func(w *metrics.Writer) {
		w.Counter("chat_dropped_total", "Messages dropped.", dropped.Load(), "room", "lobby")
	}
	server := &switchboard.Server{Handler: switchboard.DataFunc((*switchboard.Conn).Write)}
	http.Handle("GET /metrics", metrics.Handler(metrics.Server(server), metrics.Process, own))

	answer := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if strings.Contains(line, "chat_dropped") {
			fmt.Print(line)
		}
	}
	// Output:
	// # HELP chat_dropped_total Messages dropped.
	// # TYPE chat_dropped_total counter
	// chat_dropped_total{room="lobby"} 3
}

// Two servers of one program are told apart by a label.
func ExampleServer() {
	chat, lines := new(switchboard.Server), new(switchboard.Server)
	answer := httptest.NewRecorder()
	metrics.Handler(metrics.Server(chat, "server", "chat"), metrics.Server(lines, "server", "lines")).
		ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "switchboard_queued_bytes") {
			fmt.Print(line)
		}
	}
	// Output:
	// switchboard_queued_bytes{server="chat"} 0
	// switchboard_queued_bytes{server="lines"} 0
}
