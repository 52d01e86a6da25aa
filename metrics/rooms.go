package metrics

// A Hub is a *room.Hub, as Rooms needs it.
type Hub interface {
	// Count returns how many rooms have members, and how many members they have in all.
	Count() (rooms, members int)

	// Dropped returns how many messages were dropped, one for each member that missed one.
	Dropped() uint64
}

// Rooms is the source of the figures of a room.Hub. Labels are pairs of a name and a value that each figure gets, to tell several hubs
// of a program apart.
func Rooms(h Hub, labels ...string) Source {
	return func(w *Writer) {
		rooms, members := h.Count()
		w.Gauge("switchboard_rooms", "Rooms that have members.", float64(rooms), labels...)
		w.Gauge("switchboard_room_members", "Memberships of rooms.", float64(members), labels...)
		w.Counter("switchboard_room_dropped_total", "Messages that members did not get because they read slowly.", int64(h.Dropped()), labels...)
	}
}
