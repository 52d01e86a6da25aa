package admin

import (
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/switchboard-go/switchboard"
)

// places keeps the connections of the page few, so that those who may see it, and health checks, always find a place: for a
// connection too many, one is reset that is not asked for anything. Those go first that have never been allowed to see
// anything, of the address that has most of these, and of them the one that came first.
type places struct {
	most int // connections, at least 2; 0: any number

	mu  sync.Mutex
	all []*visitor // in the order of their coming
}

// A visitor is a connection of the page.
type visitor struct {
	conn    *switchboard.Conn
	from    netip.Addr // for IPv6 the /64
	known   bool       // it was allowed to see something
	serving int        // requests that are allowed, and being answered
	viewer  bool       // it is sent something until it ends
}

// trace returns what the loops of the page's server tell.
func (p *places) trace() *switchboard.Trace {
	return &switchboard.Trace{Opened: p.opened, Closed: func(c *switchboard.Conn, _ error) { p.closed(c) }}
}

func (p *places) opened(c *switchboard.Conn) {
	p.mu.Lock()
	var one *visitor
	if p.all = append(p.all, &visitor{conn: c, from: network(c.RemoteAddr())}); p.most > 0 && len(p.all) >= p.most {
		if one = p.dispensable(); one != nil {
			p.remove(one.conn)
		}
	}
	p.mu.Unlock() // before closed is called
	if one != nil {
		one.conn.Abort()
	}
}

func (p *places) closed(c *switchboard.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(c)
}

func (p *places) remove(c *switchboard.Conn) {
	for i, v := range p.all {
		if v.conn == c {
			p.all = append(p.all[:i], p.all[i+1:]...)
			return
		}
	}
}

// dispensable returns the visitor to reset, nil if all are being served.
func (p *places) dispensable() (worst *visitor) {
	strangers := map[netip.Addr]int{}
	for _, v := range p.all {
		if !v.known {
			strangers[v.from]++
		}
	}
	most := 0
	for _, v := range p.all {
		switch {
		case v.serving > 0 || v.viewer:
		case v.known && worst == nil:
			worst = v
		case !v.known && strangers[v.from] > most:
			worst, most = v, strangers[v.from]
		}
	}
	return worst
}

// serves has h serve requests that are allowed.
func (p *places) serves(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := p.visitor(r.RemoteAddr); v != nil {
			p.change(v, +1, r.URL.Path == livePath)
			defer p.change(v, -1, false)
		}
		h.ServeHTTP(w, r)
	})
}

func (p *places) change(v *visitor, serving int, viewer bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v.known, v.serving, v.viewer = true, v.serving+serving, v.viewer || viewer
}

// visitor returns the one whose address is remote, nil if there is none, as on a Unix socket.
func (p *places) visitor(remote string) *visitor {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.all {
		if _, ok := v.conn.RemoteAddr().(*net.TCPAddr); ok && v.conn.RemoteAddr().String() == remote {
			return v
		}
	}
	return nil
}

// network returns the address of a, or its /64. It is zero for a Unix socket.
func network(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap()
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return addr
}
