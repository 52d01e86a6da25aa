package natsroom_test

import (
	"log"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

// The rooms of this process are one with those of all others that have the same NATS servers.
func ExampleConnect() {
	bridge, err := natsroom.Connect("nats://10.0.0.1,nats://10.0.0.2", natsroom.Options{Prefix: "chat", Name: "alpha"})
	if err != nil {
		log.Fatal(err)
	}
	defer bridge.Close()
	hub := &room.Hub{Bridge: bridge}
	lobby, err := hub.Room("lobby")
	if err != nil {
		log.Fatal(err)
	}
	lobby.Publish(room.Message{From: "ann", Data: []byte("hello")}) // others get it from ann@alpha
}
