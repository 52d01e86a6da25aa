package zmtp

import (
	"runtime"
	"slices"
	"sync"
)

// A costly mechanism agrees on keys in its take, which costs some 100 microseconds of processor time that any stranger can ask for.
// So take does not run on the loop. What it is called with has passed screen.
type costly interface {
	mechanism
	screen(name string, data []byte) error // tells what is wrong with a command as far as that is cheap to tell
}

// A workQueue calls functions on goroutines, a few at the same time, in the order in which they came. The zero value is ready.
type workQueue struct {
	mu      sync.Mutex
	waiting []func()
	running int
}

// add has f be called soon, when less than most are.
func (q *workQueue) add(f func(), most int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, f)
	if q.running < most {
		q.running++
		go q.run()
	}
}

func (q *workQueue) run() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.waiting = nil
			q.running--
			q.mu.Unlock()
			return
		}
		f := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		f()
		runtime.Gosched() // a loop that waits for the processor comes first
	}
}

// agree has m take a command outside the loop, and the handshake go on then.
func (p *peer) agree(m costly, name string, data []byte) error {
	if err := m.screen(name, data); err != nil {
		return err
	}
	p.hs.asked = true
	p.hs.copied = len(data)
	p.c.Pause()
	data = slices.Clone(data)
	c := p.c
	p.s.ctx.agreements.add(func() {
		if p.state.get() != stateHandshake {
			return
		}
		reply, err := m.take(name, data)
		c.Do(func() { p.agreed(reply, err) })
	}, max(len(p.s.ctx.batches)/2, 1))
	return nil
}

// agreed takes what a costly mechanism has to say.
func (p *peer) agreed(reply []byte, err error) {
	if p.state.get() != stateHandshake {
		return
	}
	h := p.hs
	batch := p.batch()
	batch.enter()
	defer batch.leave()
	defer p.count()
	h.asked, h.copied = false, 0
	if err := p.step(reply, err); err != nil {
		p.fail(err)
		p.c.Close()
		return
	}
	if !h.asked {
		p.c.Resume()
	}
}
