package simkernel

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/selector"
)

// A poller is the interface of package selector, level-triggered, on the simulated kernel.
type poller struct {
	k      *Kernel
	name   string
	keys   map[int]*registration
	order  []int // the descriptors of keys
	ready  []selector.Ready
	woken  bool
	closed bool
}

type registration struct {
	key  selector.Key
	file *file
}

// Open implements engine.Kernel. It is an epoll by any name.
func (k *Kernel) Open(mechanism string) (engine.Poller, error) {
	k.call("open " + mechanism)
	defer k.mu.Unlock()
	if mechanism == "auto" {
		mechanism = "epoll"
	}
	return &poller{k: k, name: mechanism, keys: make(map[int]*registration)}, nil
}

func (p *poller) Mechanism() string { return p.name }

func (p *poller) Register(fd int, ev selector.Events, data any) error {
	p.k.call("register")
	defer p.k.mu.Unlock()
	f := p.k.lookup("register", fd)
	switch {
	case f == nil:
		return fmt.Errorf("register %d: %w", fd, syscall.EBADF)
	case ev == 0:
		return fmt.Errorf("register %d: %w", fd, selector.ErrNoEvents)
	case p.keys[fd] != nil:
		p.k.violated("register: descriptor %d is registered already", fd)
		return fmt.Errorf("register %d: %w", fd, selector.ErrRegistered)
	case p.k.chance(p.k.Faults.NoMemory):
		return fmt.Errorf("register %d: %w", fd, syscall.ENOMEM)
	}
	p.keys[fd] = &registration{selector.Key{FD: fd, Events: ev, Data: data}, f}
	p.order = append(p.order, fd)
	return nil
}

func (p *poller) Modify(fd int, ev selector.Events, data any) error {
	p.k.call("modify")
	defer p.k.mu.Unlock()
	r := p.keys[fd]
	if r == nil {
		p.k.violated("modify: descriptor %d is not registered", fd)
		return fmt.Errorf("modify %d: %w", fd, selector.ErrNotRegistered)
	}
	if f := p.k.lookup("modify", fd); f != r.file {
		p.k.violated("modify: descriptor %d is another's than when it was registered", fd)
		return fmt.Errorf("modify %d: %w", fd, syscall.ENOENT)
	}
	r.key.Events, r.key.Data = ev, data
	return nil
}

func (p *poller) Unregister(fd int) (selector.Key, error) { return p.drop("unregister", fd) }

func (p *poller) Forget(fd int) (selector.Key, error) { return p.drop("forget", fd) }

func (p *poller) drop(call string, fd int) (selector.Key, error) {
	p.k.call(call)
	defer p.k.mu.Unlock()
	r := p.keys[fd]
	if r == nil {
		return selector.Key{}, fmt.Errorf("%s %d: %w", call, fd, selector.ErrNotRegistered)
	}
	delete(p.keys, fd)
	p.order = slices.DeleteFunc(p.order, func(o int) bool { return o == fd })
	return r.key, nil
}

func (r *registration) events() (ev selector.Events) {
	m := r.file.object.poll()
	broken := m&pollAlways != 0
	if broken || m&(pollIn|pollRdHup) != 0 {
		ev |= selector.Read
	}
	if broken || m&pollOut != 0 {
		ev |= selector.Write
	}
	if broken {
		ev |= selector.Hangup
	}
	return ev & r.key.Events
}

// any tells whether something is ready.
func (p *poller) any() bool {
	if p.woken || p.closed {
		return true
	}
	for _, fd := range p.order {
		if r := p.keys[fd]; r.file.refs > 0 && r.events() != 0 {
			return true
		}
	}
	return false
}

func (p *poller) Select(timeout time.Duration) ([]selector.Ready, error) {
	p.k.call("select")
	defer p.k.mu.Unlock()
	clear(p.ready)
	p.ready = p.ready[:0]
	if p.closed {
		return nil, selector.ErrClosed
	}
	if !p.woken {
		p.k.wait(timeout, p.any)
	}
	p.woken = false
	if len(p.order) == 0 {
		return p.ready, nil
	}
	first := p.k.rng.IntN(len(p.order))
	for i := range p.order {
		fd := p.order[(first+i)%len(p.order)]
		r := p.keys[fd]
		if r.file.refs == 0 {
			p.k.violated("select: descriptor %d was closed while registered", fd)
			continue
		}
		ev := r.events()
		if s, ok := r.file.object.(*sock); (!ok || s.state != stateConnecting) && p.k.chance(p.k.Faults.Spurious/10) {
			ev |= r.key.Events &^ selector.Hangup
		}
		if ev == 0 || len(p.ready) > 0 && p.k.chance(p.k.Faults.Later) {
			continue
		}
		p.ready = append(p.ready, selector.Ready{Key: r.key, Events: ev})
	}
	return p.ready, nil
}

// Wake may be called from any goroutine.
func (p *poller) Wake() error {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	p.woken = true
	return nil
}

func (p *poller) Close() error {
	p.k.call("close of the poller")
	defer p.k.mu.Unlock()
	if p.closed {
		return selector.ErrClosed
	}
	p.closed = true
	return nil
}
