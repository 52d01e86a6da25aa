// Package room sends what one says to everybody who is there: rooms with members on the event loops of package switchboard.
//
//	hub := &room.Hub{Options: room.Options{History: room.History{Messages: 100}}}
//	lines := &room.Form{Encode: func(b []byte, m *room.Message) []byte { return append(append(b, m.Data...), '\n') }}
//
//	// On the loop of a connection c:
//	member := hub.Member(room.Stream(c), lines, "alice")
//	here, err := member.Join("lobby", nil)
//	...
//	here.Publish(room.Message{Data: []byte("hello")})
//	...
//	member.Leave() // in Closed
//
// A message is encoded once for each Form, compressed once, and held once however many queues it waits in. Publishing
// visits each loop once, and there each member's connection.
//
// # Order
//
// A room numbers its messages. All members get them in that order: exactly those that were published after Join and before
// Leave returned, but for those that the room's Policy drops. For each member of a room, at any time,
//
//	Delivered + Dropped + Lost + Skipped + queued = messages published while it was a member, and those replayed
//
// # Slow members
//
// A connection is given more when its peer has taken what it was given before. What comes meanwhile waits in the member's
// queue, up to Options.Queue: a few bytes for each 64 messages, as the messages are the room's. Then Options.Policy decides: the
// newest are dropped, the oldest, all but the latest of each key, or the member. Drops are counted, and the member is told in
// the words of Form.Dropped. A peer that takes nothing at all is ended by switchboard.Server.WriteTimeout.
//
// # Coming back
//
// A member that has lost its connection joins again with the Position of the last message that it got, and gets what it has
// missed, exactly once. If the room does not remember as much, Subscription.Gap says so.
//
// # Goroutines
//
// A Member and its Subscriptions belong to the loop of its connection. The methods of Hub and Room may be called from any
// goroutine.
package room
