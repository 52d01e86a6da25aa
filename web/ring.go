package web

// A ring is a list of connections, linked through them: no memory is needed beside theirs.
type ring struct{ first *conn }

func (r *ring) add(c *conn) {
	if r.first != nil {
		r.first.before = c
	}
	c.after, r.first = r.first, c
}

// remove takes c out, and tells whether it was in.
func (r *ring) remove(c *conn) bool {
	switch {
	case c.before != nil:
		c.before.after = c.after
	case r.first == c:
		r.first = c.after
	default:
		return false
	}
	if c.after != nil {
		c.after.before = c.before
	}
	c.before, c.after = nil, nil
	return true
}
