package selector

// A buffer says how many events a look has room for. It begins small, as most loops are mostly idle. When a look comes back
// full, the mechanism doubles the room and looks for the rest; when it has long been far too large, half of it goes.
type buffer struct{ calm int } // looks in a row that filled less than a quarter

const (
	firstEvents = 64
	calmLooks   = 1000
)

// size returns how much room the next look shall have, after one with so much room found so many events.
func (b *buffer) size(room, found int) int {
	if room <= firstEvents || found >= room/4 {
		b.calm = 0
		return room
	}
	if b.calm++; b.calm < calmLooks {
		return room
	}
	b.calm = 0
	return room / 2
}
