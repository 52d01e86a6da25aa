package switchboard

import "iter"

// A table holds a loop's connections, each at the index it knows itself. It grows by pages: to double it would leave as
// much garbage as it holds.
type table struct {
	pages []*[pageSize]*Conn
	gaps  []int32 // free indices below size
	size  int32
}

const pageSize = 256

func (t *table) add(c *Conn) {
	if n := len(t.gaps); n > 0 {
		c.index = t.gaps[n-1]
		t.gaps = t.gaps[:n-1]
	} else {
		if int(t.size) == len(t.pages)*pageSize {
			t.pages = append(t.pages, new([pageSize]*Conn))
		}
		c.index = t.size
		t.size++
	}
	t.pages[c.index/pageSize][c.index%pageSize] = c
}

// at returns the connection of an index, nil if there is none.
func (t *table) at(index int) *Conn {
	if index >= int(t.size) {
		return nil
	}
	return t.pages[index/pageSize][index%pageSize]
}

func (t *table) remove(c *Conn) {
	t.pages[c.index/pageSize][c.index%pageSize] = nil
	t.gaps = append(t.gaps, c.index)
}

// all iterates over the connections; the loop's body may remove any.
func (t *table) all() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		for _, page := range t.pages {
			for _, c := range page {
				if c != nil && !yield(c) {
					return
				}
			}
		}
	}
}
