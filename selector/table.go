package selector

const pageSize = 256

// A table holds the registrations, indexed by descriptor. The kernel hands out the lowest free number, so pages that
// are never moved cost no more than the descriptors in use, and growing copies nothing but page addresses.
type table struct {
	pages []*[pageSize]entry
	len   int
}

// An entry is 24 bytes. Its mark holds the stamp of the registration above the bits of the events; zero is vacant.
type entry struct {
	data any
	mark uint64
}

func (e *entry) events() Events { return Events(e.mark) & allEvents }
func (e *entry) stamp() uint64  { return e.mark >> bitsOfEvents }

// at returns the entry of a registered descriptor, or nil.
func (t *table) at(fd int) *entry {
	page := uint(fd) / pageSize
	if page >= uint(len(t.pages)) || t.pages[page] == nil {
		return nil
	}
	if e := &t.pages[page][uint(fd)%pageSize]; e.mark != 0 {
		return e
	}
	return nil
}

func (t *table) set(fd int, ev Events, data any, stamp uint64) {
	page := fd / pageSize
	if grow := page + 1 - len(t.pages); grow > 0 {
		t.pages = append(t.pages, make([]*[pageSize]entry, grow)...)
	}
	if t.pages[page] == nil {
		t.pages[page] = new([pageSize]entry)
	}
	e := &t.pages[page][fd%pageSize]
	if e.mark == 0 {
		t.len++
	}
	*e = entry{data, stamp<<bitsOfEvents | uint64(ev)}
}

func (t *table) clear(fd int) {
	t.pages[fd/pageSize][fd%pageSize] = entry{}
	t.len--
}

// next returns the first registered descriptor from fd upwards, or -1.
func (t *table) next(fd int) int {
	for fd < len(t.pages)*pageSize {
		if t.pages[fd/pageSize] == nil {
			fd += pageSize - fd%pageSize
			continue
		}
		if t.pages[fd/pageSize][fd%pageSize].mark != 0 {
			return fd
		}
		fd++
	}
	return -1
}
