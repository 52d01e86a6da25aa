package zmtp

import (
	"fmt"
	"runtime/debug"

	"github.com/switchboard-go/switchboard"
)

// An inprocName is a name that sockets of one Context are bound to or connect to.
type inprocName struct {
	s       *Socket   // that is bound; nil: none is
	waiting []*dialer // that connect to it, until one is
}

// bindName binds s to a name, and joins those who wait for it.
func (c *Context) bindName(s *Socket, name string) error {
	c.mu.Lock()
	n := c.name(name)
	if n.s != nil {
		c.mu.Unlock()
		return fmt.Errorf("another socket is bound to it")
	}
	n.s = s
	waiting := n.waiting
	n.waiting = nil
	c.mu.Unlock()
	for _, d := range waiting {
		c.pair(d, s)
	}
	return nil
}

func (c *Context) unbindName(s *Socket, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.names[name]; n != nil && n.s == s {
		n.s = nil
		if len(n.waiting) == 0 {
			delete(c.names, name)
		}
	}
}

func (c *Context) name(name string) *inprocName {
	if c.names == nil {
		c.names = map[string]*inprocName{}
	}
	if c.names[name] == nil {
		c.names[name] = &inprocName{}
	}
	return c.names[name]
}

// dialName connects d to a name, at once or when a socket is bound to it.
func (c *Context) dialName(d *dialer) {
	c.mu.Lock()
	n := c.name(d.address)
	s := n.s
	if s == nil {
		n.waiting = append(n.waiting, d)
	}
	c.mu.Unlock()
	if s != nil {
		c.pair(d, s)
	}
}

// forgetDial takes a dialer off the list of those who wait.
func (c *Context) forgetDial(d *dialer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.names[d.address]
	if n == nil {
		return
	}
	for i, other := range n.waiting {
		if other == d {
			n.waiting = append(n.waiting[:i], n.waiting[i+1:]...)
			break
		}
	}
	if n.s == nil && len(n.waiting) == 0 {
		delete(c.names, d.address)
	}
}

// pair makes a pair of peers of a dialer's socket and a bound one.
func (c *Context) pair(d *dialer, s *Socket) {
	a, b := &peer{s: d.s, dialer: d}, &peer{s: s, accepted: true}
	a.extra().other, b.extra().other = b, a
	a.identity, b.identity = told(s), told(d.s)
	for _, side := range []*peer{a, b} {
		side.version30 = d.s.opt.Version30 || s.opt.Version30
	}
	err := d.begin(a)
	if err != nil {
		return
	}
	if err = s.admit(b); err != nil {
		b.state.set(stateGone)
	} else if !s.typ.accepts(d.s.typ.String()) {
		err = protocolErrorf("a %v cannot talk to a %v", d.s.typ, s.typ)
	} else if err = s.join(b, d.s.typ.String()); err == nil {
		err = d.s.join(a, s.typ.String())
	}
	if err != nil {
		a.endInproc(err)
		return
	}
	endpoint := d.endpoint
	d.s.tell(Event{Kind: Ready, Endpoint: endpoint, RemoteAddr: endpoint, Peer: s.typ.String(), Identity: a.identity, Metadata: s.opt.Metadata})
	s.tell(Event{Kind: Ready, Endpoint: endpoint, RemoteAddr: endpoint, Peer: d.s.typ.String(), Identity: b.identity, Metadata: d.s.opt.Metadata})
	a.write()
	b.write()
}

func told(s *Socket) string {
	if traits[s.typ].names {
		return s.opt.Identity
	}
	return ""
}

// endInproc ends both ends of a pair.
func (p *peer) endInproc(err error) {
	for _, side := range []*peer{p, p.extra().other} {
		s := side.s
		s.mu.Lock()
		was := side.state.get()
		s.mu.Unlock()
		if was == stateGone {
			continue
		}
		side.handle(s.leave(side))
		side.report(was, err)
		if side.dialer != nil {
			side.dialer.ended(side, was, err)
		}
	}
}

// handOver moves what is queued to the other end of an inproc pair, as far as there is room. s.mu is held, but not while
// the other socket's is.
func (p *peer) handOver(budget *int) {
	s, to := p.s, p.extra().other
	for p.state.get() == stateReady && *budget > 0 {
		if x := p.more.Load(); x != nil && len(x.commands) > 0 {
			b := x.commands
			x.commands = nil
			s.mu.Unlock()
			err := to.input(b)
			if err != nil {
				p.endInproc(err)
			}
			s.mu.Lock()
			continue
		}
		if p.out.n == 0 {
			return
		}
		c := p.out.shift()
		n := c.n
		p.cur = c
		*budget -= len(c.bytes())
		s.mu.Unlock()
		taken := to.takeOver(c)
		s.mu.Lock()
		if !taken {
			if p.cur != nil {
				p.out.unshift(c)
				p.cur = nil
			}
			return
		}
		p.cur = nil
		s.stats.Sent += int64(n)
	}
}

// takeOver takes a chunk from the other end, if there is room for it.
func (p *peer) takeOver(c *chunk) bool {
	s := p.s
	if s.typ.publishes() || s.typ == RADIO {
		p.fromSubscriber(c.bytes())
		c.free()
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.state.get() != stateReady || p.paused {
		return false
	}
	if s.full.Load() {
		p.pause()
		s.relieved(p)
		return false
	}
	n := int(c.n)
	if s.opt.Conflate {
		for ; c.n > 1; c.n-- {
			c.at += messageSize(c.bytes())
			s.stats.Dropped++
		}
		s.conflate(p)
		n = 1
	}
	size := len(c.bytes())
	if size < alone {
		p.in.addRaw(c.bytes(), int32(n), nil)
		c.free()
	} else {
		if c.shared == nil { // else it counts until all have received it
			c.uncount()
		}
		p.in.push(c)
	}
	s.arrived(p, n, size)
	if s.opt.Handler != nil && !p.extra().running {
		p.more.Load().running = true
		go p.handleAll()
	}
	return true
}

// handleAll calls the handler for the messages of an inproc peer, on a goroutine that there is while there are messages. A
// panic ends the pair, as it ends a connection.
func (p *peer) handleAll() {
	s := p.s
	m := new(Message)
	returned := false
	defer func() {
		if !returned {
			p.endInproc(&switchboard.PanicError{Value: recover(), Stack: debug.Stack()})
		}
	}()
	s.mu.Lock()
	for p.in.n > 0 && !s.closing {
		c := p.in.shift()
		s.took(int(c.n), len(c.bytes()))
		wake := s.relieved(p)
		s.mu.Unlock()
		if wake {
			p.resume()
		}
		p.handleEach(c.bytes(), m)
		c.free()
		s.mu.Lock()
	}
	p.more.Load().running = false
	s.mu.Unlock()
	returned = true
}
