package room_test

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
)

// A new process takes over the rooms of the one before it, with the file of their history.
func ExampleInheritFile() {
	f := os.NewFile(3, "handover") // a Unix socket, whose other end the process before has given to Server.Handover
	conn, err := net.FileConn(f)
	if err != nil {
		log.Fatal(err)
	}
	store := room.InheritFile("/var/lib/chat/history", 100)
	defer store.Close()
	hub := &room.Hub{Store: store}
	server := &switchboard.Server{Shared: hub, Handler: switchboard.DataFunc(func(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil })}
	if _, err := server.Takeover(context.Background(), conn.(*net.UnixConn)); err != nil {
		log.Fatal(err) // the process before goes on
	}
	<-server.Stopped()
}
