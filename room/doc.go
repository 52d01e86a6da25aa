// Package room has rooms: what one member publishes is sent to all members. Members are connections on the event
// loops of package switchboard, plain or WebSocket.
//
//	hub := &room.Hub{Options: room.Options{History: room.History{Messages: 100}}}
//	lines := &room.Form{Encode: func(b []byte, m *room.Message) []byte { return append(append(b, m.Data...), '\n') }}
//
//	// On the loop of a connection c:
//	member := hub.Member(room.Stream(c), lines, "alice")
//	lobby, err := member.Join("lobby", nil)
//	...
//	lobby.Publish(room.Message{Data: []byte("hello")})
//	...
//	member.Leave() // in Closed
//
// A message is encoded and compressed once for each Form, and kept in memory once for all queues. Publishing visits
// each loop once, which then serves all its members.
//
// # Order
//
// A room numbers its messages. All members get them in this order: exactly the messages that were published after
// Join and before Leave returned, except those that the room's Policy drops. For each member of a room, at any time,
//
//	Delivered + Dropped + Lost + Skipped + queued = messages published while it was a member, and those replayed
//
// # Slow members
//
// A connection gets more messages when its peer has taken the previous ones. Until then messages wait in the member's
// queue, up to Options.Queue. The queue itself needs a few bytes for each 64 messages, because the room holds them.
// When the queue is full, Options.Policy decides what is dropped: the newest messages, the oldest, all but the latest
// of each key, or the member. Drops are counted, and Form.Dropped tells the member. switchboard.Server.WriteTimeout
// ends a peer that takes nothing at all.
//
// # Coming back
//
// A member that has lost its connection joins again with the Position of the last message that it got. It then gets
// the messages that it missed, exactly once. If the room does not remember all of them, Subscription.Gap returns
// true.
//
// # Goroutines
//
// A Member and its Subscriptions belong to the loop of its connection: only that loop may call their methods. Any
// goroutine may call the methods of Hub and Room.
package room
