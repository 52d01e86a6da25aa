package engine

import "iter"

// A Table holds a loop's lines, each at the index that it knows itself. It grows by pages: to double it would leave as much
// garbage as it holds. Its zero value is empty.
type Table struct {
	pages []*[pageSize]*Line
	gaps  []int32 // free indices below size
	size  int32
}

const pageSize = 256

// Add gives l an index.
func (t *Table) Add(l *Line) {
	if n := len(t.gaps); n > 0 {
		l.Index = t.gaps[n-1]
		t.gaps = t.gaps[:n-1]
	} else {
		if int(t.size) == len(t.pages)*pageSize {
			t.pages = append(t.pages, new([pageSize]*Line))
		}
		l.Index = t.size
		t.size++
	}
	t.pages[l.Index/pageSize][l.Index%pageSize] = l
}

// At returns the line of an index, nil if there is none.
func (t *Table) At(index int) *Line {
	if index < 0 || index >= int(t.size) {
		return nil
	}
	return t.pages[index/pageSize][index%pageSize]
}

// Remove frees the index of l.
func (t *Table) Remove(l *Line) {
	t.pages[l.Index/pageSize][l.Index%pageSize] = nil
	t.gaps = append(t.gaps, l.Index)
}

// Len returns how many lines there are.
func (t *Table) Len() int { return int(t.size) - len(t.gaps) }

// All iterates over the lines. The loop's body may remove any.
func (t *Table) All() iter.Seq[*Line] {
	return func(yield func(*Line) bool) {
		for _, page := range t.pages {
			for _, l := range page {
				if l != nil && !yield(l) {
					return
				}
			}
		}
	}
}
