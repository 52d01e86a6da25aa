// Package wheel is a hierarchical timing wheel: very many timers, each started, moved and stopped in constant time,
// with no goroutine, no lock and no allocation. It belongs to one goroutine.
//
// The idea is G. Varghese and T. Lauck's, "Hashed and Hierarchical Timing Wheels" (SOSP 1987). Level 0 has a slot for
// each of the next 64 ticks, level 1 for each of the next 64 × 64 ticks, and so on; a timer sits in the coarsest level
// that tells it from now, and falls to finer ones as its time comes near.
package wheel

import "math/bits"

const (
	slotBits = 6
	slots    = 1 << slotBits
	levels   = 6 // 64^6 ticks: two years of milliseconds

	// farthest is how many ticks ahead a timer can be placed; a later one is placed there, and again when its time comes. It is
	// short of a round of the coarsest level, in which a timer would else lie in the slot that is being worked off.
	farthest = (slots - 2) << (slotBits * (levels - 1))
)

// A Timer is one entry, a field of what it wakes: as the first field it can be converted to that with unsafe.Pointer,
// which spares each timer a pointer to its owner. Its zero value is stopped.
type Timer struct {
	next, prev *Timer // nil when stopped
	when       int64
}

// Running tells whether t will still fire.
func (t *Timer) Running() bool { return t.next != nil }

// When returns the tick at which t fires, if it is running.
func (t *Timer) When() int64 { return t.when }

// A Wheel holds timers. Ticks are whatever its owner counts time in. Its zero value stands at tick 0.
type Wheel struct {
	now      int64
	occupied [levels]uint64 // a bit for each slot that has timers
	slot     [levels][slots]Timer
	count    int
}

// Len returns how many timers are running.
func (w *Wheel) Len() int { return w.count }

// Start makes t fire at the tick when, or at the next Advance if that is past. A running t is moved.
func (w *Wheel) Start(t *Timer, when int64) {
	w.Stop(t)
	t.when = when
	w.count++
	w.place(t)
}

func (w *Wheel) place(t *Timer) {
	at := min(max(t.when, w.now), w.now+farthest)
	level := 0
	if diff := uint64(at ^ w.now); diff != 0 {
		level = min((bits.Len64(diff)-1)/slotBits, levels-1)
	}
	i := int(at>>(level*slotBits)) & (slots - 1)
	head := &w.slot[level][i]
	if head.next == nil {
		head.next, head.prev = head, head
	}
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
	w.occupied[level] |= 1 << i
}

// Stop keeps t from firing. Its slot's bit may stay set: Advance finds the slot empty.
func (w *Wheel) Stop(t *Timer) {
	if t.next == nil {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	w.count--
}

// Next returns a tick at which Advance should be called, no later than the first timer's, and false when no timer runs.
func (w *Wheel) Next() (int64, bool) {
	if w.count == 0 {
		return 0, false
	}
	for level := range levels {
		if tick, ok := w.first(level); ok {
			return tick, true
		}
	}
	return 0, false
}

// first returns the tick at which the first non-empty slot of a level begins.
func (w *Wheel) first(level int) (int64, bool) {
	for w.occupied[level] != 0 {
		shift := level * slotBits
		current := int(w.now>>shift) & (slots - 1)
		// Slots behind the current one belong to the next round of this level.
		ahead := bits.TrailingZeros64(bits.RotateLeft64(w.occupied[level], -current))
		i := (current + ahead) & (slots - 1)
		if head := &w.slot[level][i]; head.next == head {
			w.occupied[level] &^= 1 << i
			continue
		}
		return max((w.now>>shift+int64(ahead))<<shift, w.now), true
	}
	return 0, false
}

// Advance moves to the tick now and calls fire for each timer whose time has come, in order of their ticks. fire may
// start and stop timers, the one it is called for included.
func (w *Wheel) Advance(now int64, fire func(*Timer)) {
	for {
		tick, level := int64(0), -1
		for l := range levels {
			if t, ok := w.first(l); ok && (level < 0 || t <= tick) {
				tick, level = t, l // on a tie the coarser level first: its timers may be due at this very tick
			}
		}
		if level < 0 || tick > now {
			w.now = max(w.now, now)
			return
		}
		w.now = tick
		i := int(tick>>(level*slotBits)) & (slots - 1)
		head := &w.slot[level][i]
		w.occupied[level] &^= 1 << i
		// The slot's timers move to a list of their own: fire may fill the slot again.
		var due Timer
		due.next, due.prev = head.next, head.prev
		due.next.prev, due.prev.next = &due, &due
		head.next, head.prev = head, head
		for t := due.next; t != &due; t = due.next {
			w.Stop(t)
			if t.when <= w.now {
				fire(t)
			} else {
				w.count++
				w.place(t)
			}
		}
	}
}
