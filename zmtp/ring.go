package zmtp

// A ring is a queue of peers.
type ring struct {
	items   []*peer
	head, n int
}

func (r *ring) push(p *peer) {
	if r.n == len(r.items) {
		larger := make([]*peer, max(4, 2*r.n))
		for i := range r.n {
			larger[i] = r.items[(r.head+i)&(len(r.items)-1)]
		}
		r.items, r.head = larger, 0
	}
	r.items[(r.head+r.n)&(len(r.items)-1)] = p
	r.n++
}

func (r *ring) pop() *peer {
	p := r.items[r.head]
	r.items[r.head] = nil
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.n--
	return p
}
