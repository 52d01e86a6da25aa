package metrics_test

import (
	"bufio"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/metrics"
	"github.com/switchboard-go/switchboard/room"
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

func ExampleRooms() {
	hub := new(room.Hub)
	answer := httptest.NewRecorder()
	metrics.Handler(metrics.Rooms(hub, "hub", "chat")).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	fmt.Print(answer.Body)
	// Output:
	// # HELP switchboard_rooms Rooms that have members.
	// # TYPE switchboard_rooms gauge
	// switchboard_rooms{hub="chat"} 0
	// # HELP switchboard_room_members Memberships of rooms.
	// # TYPE switchboard_room_members gauge
	// switchboard_room_members{hub="chat"} 0
	// # HELP switchboard_room_dropped_total Messages that members did not get because they read slowly.
	// # TYPE switchboard_room_dropped_total counter
	// switchboard_room_dropped_total{hub="chat"} 0
}
