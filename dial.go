package switchboard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// dialing is an outgoing connection on its way.
type dialing struct {
	ctx     context.Context
	address string
	known   bool          // it needs nobody to resolve it
	serves  bool          // it is for a connection that is served, by Conn.Dial
	left    []target      // addresses not yet tried
	selves  int           // times that a socket was connected to itself
	short   syscall.Errno // what this system is short of, while that is waited for
	adopted bool          // it is connected already
	ahead   []byte        // and this has been read from it
	err     error         // of those tried
	stop    func() bool
}

// A target is one address to connect to.
type target struct {
	ap    netip.AddrPort
	scope uint32
	path  string // of a Unix socket
}

func (t target) String() string {
	if t.path != "" {
		return t.path
	}
	return t.ap.String()
}

// Dial connects to address and serves the connection with h, on the loop with the fewest connections. The address is a TCP
// address with a host name or an IP address ("example.com:80", "[::1]:7"), the path of a Unix socket, or the name of an
// abstract one ("@name").
//
// Dial does not wait for the connection. Bytes written to it are queued until it is open. If h is an Opener, Opened is
// called then. If connecting fails, or ctx ends first, h.Closed gets the reason. Close before the connection is open still
// delivers what was written. The addresses of a host name are tried one after another, each for Server.DialTimeout. If
// this system is short of ports, or the backlog of a Unix socket is full, the same address is tried again within that
// time.
//
// Dial starts the loops if the server does not serve yet. It returns an error, and no connection, for what is known at
// once, such as a malformed address or a closed server. Any goroutine may call it.
func (s *Server) Dial(ctx context.Context, address string, h Handler) (*Conn, error) {
	if _, err := s.run(); err != nil {
		return nil, err
	}
	return s.quietest(nil).dial(ctx, address, nil, h, nil)
}

// Dial is Server.Dial on the loop of c, so that the handlers of the two connections never run at the same time. It still
// connects while Shutdown waits for c, and Shutdown then waits for the new connection too. Any goroutine may call it.
func (c *Conn) Dial(ctx context.Context, address string, h Handler) (*Conn, error) {
	return c.loop.dial(ctx, address, nil, h, c)
}

// dial is Dial on l, over TLS unless config is nil, for a connection that is served unless that is nil.
func (l *loop) dial(ctx context.Context, address string, config *tls.Config, h Handler, served *Conn) (*Conn, error) {
	s := l.server
	if h == nil {
		return nil, errors.New("switchboard: dial: no handler")
	}
	if err := l.limits.check(h); err != nil {
		return nil, err
	}
	serves := served != nil && !served.marked(stopMark)
	if s.stopping.Load() && !serves {
		return nil, ErrServerClosed
	}
	d := &dialing{ctx: ctx, address: address, serves: serves}
	if err := ctx.Err(); err != nil {
		return nil, d.failure(err)
	}
	if err := d.parse(); err != nil {
		return nil, d.failure(err)
	}
	c := newConn(l, -1, rawio.Peer{}, 0)
	c.handler = h
	c.flags |= dialled
	c.out |= blocked
	more := &extra{dial: d, untaken: -1}
	more.setRemote(d)
	c.more.Store(more)
	if config != nil {
		c.secure(config, true)
	}
	if !l.adopt(c) {
		c.never()
		s.departed()
		return nil, ErrServerClosed
	}
	return c, nil
}

// beginDial begins a dialled connection on its loop, before anything else that the loop is told of it.
func (c *Conn) beginDial() {
	d := c.extra().dial
	c.loop.addConn(c)
	c.become(stateConnecting)
	if s := c.Server(); s.stopping.Load() {
		if !c.isAwaited() || s.isClosed() {
			c.finish(ErrServerClosed)
			return
		}
		c.flags |= leaving
	}
	if d.adopted {
		c.watch(engine.Write)
		return
	}
	d.stop = context.AfterFunc(d.ctx, func() { c.Do(func() { c.giveUp(context.Cause(d.ctx)) }) })
	if d.known {
		c.tryNext()
	} else {
		ctx, cancel := context.WithCancel(d.ctx)
		stop := d.stop
		d.stop = func() bool {
			cancel()
			return stop()
		}
		go d.resolve(ctx, c)
	}
}

// A dialing is its connection's remote address until one has answered.
func (d *dialing) Network() string {
	if d.isPath() {
		return "unix"
	}
	return "tcp"
}

func (d *dialing) String() string { return d.address }

func (d *dialing) failure(err error) error {
	return &net.OpError{Op: "dial", Net: d.Network(), Addr: d, Err: err}
}

// done tells that there is nothing left to cancel.
func (d *dialing) done() {
	if d.stop != nil {
		d.stop()
		d.stop = nil
	}
}

// parse finds out what can be known of the address without asking anybody.
func (d *dialing) parse() error {
	d.known = true
	if d.isPath() {
		d.left = []target{{path: d.address}}
		return nil
	}
	host, port, err := net.SplitHostPort(d.address)
	if err != nil {
		return err
	}
	if host == "" {
		host = "localhost"
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		d.known = false
		d.left = []target{{ap: netip.AddrPortFrom(netip.Addr{}, uint16(number))}} // the port of what resolve finds
		return nil
	}
	return d.add(ip, uint16(number))
}

// isPath tells whether the address is that of a Unix socket: a path has a slash, or on Windows a backslash; an abstract name
// begins with "@".
func (d *dialing) isPath() bool {
	slash := func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) }
	return strings.HasPrefix(d.address, "@") || strings.ContainsFunc(d.address, slash)
}

// add puts an address at the end of those to try.
func (d *dialing) add(ip netip.Addr, port uint16) error {
	ip = ip.Unmap()
	t := target{ap: netip.AddrPortFrom(ip, port)}
	if zone := ip.Zone(); zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			t.scope = uint32(ifi.Index)
		} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			t.scope = uint32(n)
		} else {
			return fmt.Errorf("there is no network interface %q here", zone)
		}
	}
	d.left = append(d.left, t)
	return nil
}

// resolve asks for the addresses of a name, on a goroutine of its own because that waits.
func (d *dialing) resolve(ctx context.Context, c *Conn) {
	host, _, _ := net.SplitHostPort(d.address)
	if host == "" {
		host = "localhost"
	}
	lookup := c.Server().lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	ips, err := lookup(ctx, "ip", host)
	c.Do(func() {
		port := d.left[0].ap.Port()
		d.left = nil
		for _, ip := range ips {
			if e := d.add(ip, port); e != nil {
				err = e
			}
		}
		if len(d.left) == 0 && err != nil {
			c.giveUp(err)
		} else {
			c.tryNext()
		}
	})
}

// tryNext begins to connect to the next address that lets it.
func (c *Conn) tryNext() {
	d := c.extra().dial
	for len(d.left) > 0 {
		t := d.left[0]
		d.left = d.left[1:]
		if err := c.connect(t); err == nil {
			return
		} else {
			d.tried(t, err)
		}
	}
	c.giveUp(d.err)
}

func (d *dialing) tried(t target, err error) {
	if t.String() != d.address { // one of a name's
		err = fmt.Errorf("%v: %w", t, err)
	}
	if d.err != nil {
		err = fmt.Errorf("%w; %w", d.err, err)
	}
	d.err = err
}

// connect begins to connect to t. An error says that it cannot be.
func (c *Conn) connect(t target) error {
	k := c.loop.kernel
	family := rawio.INET6
	if t.path != "" {
		family = rawio.UNIX
	} else if t.ap.Addr().Is4() {
		family = rawio.INET
	}
	fd, err := k.Socket(family)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if control := c.loop.server.DialControl; control != nil {
		if err := c.control(control, fd); err != nil {
			return err
		}
	}
	var errno syscall.Errno
	if t.path != "" {
		errno = k.ConnectUnix(fd, t.path)
	} else {
		c.loop.setOptions(fd)
		errno = k.ConnectInet(fd, t.ap, t.scope)
	}
	if more := c.extra(); more.current != t {
		more.current, more.since = t, c.loop.clock()
		c.schedule()
	}
	switch {
	case errno == 0, errno == syscall.EINPROGRESS:
		c.extra().dial.short = 0
		c.mu.Lock()
		c.line.FD = int32(fd)
		c.mu.Unlock()
		c.watch(engine.Write)
		return nil
	case short(errno, t):
		if errno == syscall.EADDRNOTAVAIL {
			c.extra().dial.short = errno
		}
		k.Close(fd)
		c.after(retry, func() { c.tryAgain(t) })
		return nil
	}
	k.Close(fd)
	return os.NewSyscallError("connect", rawio.Error(errno))
}

// control has the user's function prepare fd, which is closed if it does not.
func (c *Conn) control(f func(fd int) error, fd int) (err error) {
	prepared := false
	defer func() {
		if !prepared {
			c.loop.kernel.Close(fd)
		}
	}()
	if !c.loop.call(c, func() { err = f(fd) }) {
		return c.endedFor()
	}
	prepared = err == nil
	return err
}

// short tells whether connecting to t failed for want of something that others may give back soon: room in the backlog of a
// Unix socket, for which TCP would wait, or a port of our own.
func short(errno syscall.Errno, t target) bool {
	return errno == syscall.EAGAIN && t.path != "" || errno == syscall.EADDRNOTAVAIL && t.path == ""
}

// tryAgain connects to t again, before all others, unless t was given up meanwhile.
func (c *Conn) tryAgain(t target) {
	if c.state == stateConnecting && c.extra().current == t {
		d := c.extra().dial
		d.left = append([]target{t}, d.left...)
		c.tryNext()
	}
}
