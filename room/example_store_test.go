package room_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/switchboard-go/switchboard/room"
)

// Rooms that remember their messages when the process ends.
func ExampleOpenFile() {
	dir, err := os.MkdirTemp("", "rooms")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	for _, text := range []string{"before", "after a restart"} {
		store, err := room.OpenFile(filepath.Join(dir, "history"), 100)
		if err != nil {
			log.Fatal(err)
		}
		hub := &room.Hub{Store: store, Options: room.Options{History: room.History{Messages: 100}}}
		lobby, err := hub.Room("lobby")
		if err != nil {
			log.Fatal(err)
		}
		number, err := lobby.Publish(room.Message{Data: []byte(text)})
		fmt.Println(number, err)
		if err := store.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
}
