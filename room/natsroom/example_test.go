package natsroom_test

import (
	"context"
	"log"
	"time"

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

// The rooms of all processes have one order and one history, which JetStream keeps.
func ExampleNewLog() {
	bridge, err := natsroom.Connect("nats://10.0.0.1,nats://10.0.0.2", natsroom.Options{Name: "alpha"})
	if err != nil {
		log.Fatal(err)
	}
	defer bridge.Close()
	kept, err := natsroom.NewLog(bridge, natsroom.LogOptions{Replicas: 3})
	if err != nil {
		log.Fatal(err)
	}
	hub := &room.Hub{
		Log:     kept,
		Bridge:  bridge, // tells who is in the rooms elsewhere
		Options: room.Options{History: room.History{Messages: 200}},
	}
	lobby, err := hub.Room("lobby")
	if err != nil {
		log.Fatal(err)
	}
	lobby.Publish(room.Message{From: "ann", Data: []byte("hello")})

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := kept.Flush(ctx); err != nil { // before the process ends
		log.Print(err)
	}
}
