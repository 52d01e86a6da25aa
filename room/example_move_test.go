package room_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/room"
)

// A new process takes over the rooms of the one before it, with the file of their history. Until then nobody can be in them.
func ExampleInheritFile() {
	store := room.InheritFile("history", 100)
	hub := &room.Hub{Store: store}
	server := &switchboard.Server{Shared: hub}
	takeOver := func(conn *net.UnixConn) error { // whose other end the process before has given to Server.Handover
		_, err := server.Takeover(context.Background(), conn)
		return err
	}
	_ = takeOver
	_, err := hub.Room("lobby")
	fmt.Println(errors.Is(err, os.ErrClosed))
	fmt.Println(store.Close())
	// Output:
	// true
	// <nil>
}
