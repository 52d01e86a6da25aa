package metrics_test

import (
	"bufio"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/metrics"
)

// A program that serves HTTP besides passes the handler to http.Handle("GET /metrics", handler).
func ExampleHandler() {
	server := &switchboard.Server{Handler: switchboard.DataFunc((*switchboard.Conn).Write)}
	defer server.Close()

	greetings := func(w *metrics.Writer) { w.Counter("greetings_total", "Greetings sent.", 3) }
	handler := metrics.Handler(metrics.Server(server), metrics.Process, greetings)

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), "greetings_total") {
			fmt.Println(lines.Text())
		}
	}
	if answer.Code != 200 {
		log.Fatal(answer.Code)
	}
	// Output:
	// # HELP greetings_total Greetings sent.
	// # TYPE greetings_total counter
	// greetings_total 3
}
