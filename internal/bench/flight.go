package bench

// A message is one that was sent and whose answer is awaited.
type message struct {
	due int64 // when it should have left, in the run's time
	end int64 // how many bytes its connection had sent, or will have, when it has left
}

// A flight is the messages in flight on one connection, in order.
type flight struct {
	ring []message
	head int
	n    int
}

func (f *flight) push(m message) {
	if f.n == len(f.ring) {
		ring := make([]message, max(1, 2*f.n))
		for i := range f.n {
			ring[i] = f.at(i)
		}
		f.ring, f.head = ring, 0
	}
	f.ring[(f.head+f.n)&(len(f.ring)-1)] = m
	f.n++
}

// at returns the i-th of those in flight; 0 is the oldest.
func (f *flight) at(i int) message { return f.ring[(f.head+i)&(len(f.ring)-1)] }

func (f *flight) pop() message {
	m := f.ring[f.head]
	f.head = (f.head + 1) & (len(f.ring) - 1)
	f.n--
	return m
}

func (f *flight) clear() { f.head, f.n = 0, 0 }
