package switchboard

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Adopt serves a connection that another library has opened, on the loop with the fewest connections. nc must have a
// descriptor, as a *net.TCPConn and a *net.UnixConn have. After success Adopt has closed nc and owns the connection. ahead
// are bytes that were read from nc and not handled; they are offered to h first. Adopt copies them.
//
// With a config the connection speaks TLS as a client, as that of DialTLS does. Then ahead must be empty, and config must
// have a ServerName or InsecureSkipVerify.
//
// The connection counts as dialled, and h gets the calls of a dialled connection. Any goroutine may call it.
func (s *Server) Adopt(nc net.Conn, ahead []byte, config *tls.Config, h Handler) (*Conn, error) {
	if h == nil {
		return nil, errors.New("switchboard: adopt: no handler")
	}
	if _, err := s.run(); err != nil {
		return nil, err
	}
	if err := s.limits.check(h); err != nil {
		return nil, err
	}
	if config != nil {
		switch {
		case len(ahead) > 0:
			return nil, errors.New("switchboard: adopt: a server does not speak before its client in TLS")
		case config.ServerName == "" && !config.InsecureSkipVerify:
			return nil, errors.New("switchboard: adopt: Config.ServerName must say whom to expect")
		case config.Renegotiation != tls.RenegotiateNever:
			return nil, errors.New("switchboard: adopt: Config.Renegotiation must be RenegotiateNever")
		}
	}
	remote := nc.RemoteAddr()
	l := s.quietest(nil)
	fd, err := copyOfConn(l.kernel, nc)
	if err != nil {
		return nil, err
	}
	if remote.Network() == "tcp" {
		l.setOptions(fd)
	}
	c := newConn(l, fd, rawio.Peer{}, 0)
	c.handler = h
	c.flags |= dialled
	c.out |= blocked
	d := &dialing{ctx: context.Background(), address: remote.String(), known: true, adopted: true}
	d.ahead = append(d.ahead, ahead...)
	more := &extra{dial: d, untaken: -1}
	more.setRemote(remote)
	c.more.Store(more)
	if config != nil {
		c.secure(config, true)
	}
	if !l.adopt(c) {
		c.never()
		l.kernel.Close(fd)
		s.departed()
		return nil, ErrServerClosed
	}
	nc.Close()
	return c, nil
}

// copyOfConn returns a descriptor of its own for nc's socket.
func copyOfConn(k engine.Kernel, nc net.Conn) (fd int, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("switchboard: adopt: a %T has no descriptor to wait on", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var inner error
	if err := raw.Control(func(of uintptr) { fd, inner = k.Dup(int(of)) }); err != nil {
		return -1, err
	}
	if inner != nil {
		return -1, fmt.Errorf("switchboard: adopt %v: %w", nc.RemoteAddr(), inner)
	}
	return fd, nil
}

// newConn makes a connection of l, which came from the origin with this number: 0 is Dial.
func newConn(l *loop, fd int, peer rawio.Peer, origin uint32) *Conn {
	c := &Conn{loop: l, line: engine.Line{FD: int32(fd)}, peer: peer, born: l.clock()}
	c.active.Store(c.born)
	c.marks.Store(origin << originShift)
	c.counts().states[stateNew].Add(1)
	l.active.Add(1)
	l.server.active.Add(1)
	return c
}

// open begins an accepted connection on its loop.
func (c *Conn) open() {
	l := c.loop
	l.addConn(c)
	if l.server.stopping.Load() && !c.isLastAccepted() {
		c.finish(ErrServerClosed)
		return
	}
	if len(l.server.Admission) > 0 {
		c.become(stateAdmitting)
		c.askAdmission()
	} else {
		c.admitted()
	}
	c.flush()
}

// askAccept asks Accept for c's handler, and tells that it is there.
func (c *Conn) askAccept() {
	l := c.loop
	var h Handler
	var err error
	c.flags |= rejected // if Accept does not return
	exited := true
	defer func() {
		if exited { // runtime.Goexit: nothing behind the call below runs
			c.refused(c.endedFor())
		}
	}()
	ok := true
	if accept := l.server.Accept; accept != nil {
		ok = l.call(c, func() { h, err = accept(c) })
	}
	exited = false
	if !ok {
		err = c.endedFor() // it panicked
	} else if err == nil {
		h, err = l.server.handlerFor(c, h)
	}
	if err != nil {
		c.reject(err)
		return
	}
	c.flags &^= rejected
	if p, ok := c.handler.(*pipe); !ok {
		c.mu.Lock() // for the watch
		c.handler = h
		c.mu.Unlock()
	} else if h != Handler(p) { // Accept has joined it with another connection
		p.before = h
	}
	c.opened()
}

// handlerFor returns the handler that serves c after Accept returned h.
func (s *Server) handlerFor(c *Conn, h Handler) (Handler, error) {
	if h == nil {
		h = s.Handler
	}
	if h == nil && c.isJoining() {
		h = DataFunc(func(_ *Conn, p []byte) (int, error) { return len(p), nil })
	}
	if h == nil {
		return nil, errors.New("switchboard: Server.Accept returned no handler, and Server.Handler is nil")
	}
	err := c.loop.limits.check(h)
	if err != nil && s.misfitLogged.CompareAndSwap(false, true) {
		s.logger().Error("a handler from Accept cannot serve", "handler", fmt.Sprintf("%T", h), "error", err)
	}
	return h, err
}

// opened has c served by its handler from here on.
func (c *Conn) opened() {
	l := c.loop
	c.become(stateOpen)
	c.touch()
	if t := l.server.trace; t != nil && t.Opened != nil {
		l.call(c, func() { t.Opened(c) })
	}
	c.schedule()
	if h, ok := c.handler.(Opener); ok && !c.marked(stopMark) {
		var err error
		l.call(c, func() { err = h.Opened(c) })
		if err != nil {
			c.end(orderly(err))
		}
	}
}

// refused counts and tells that c has been refused.
func (c *Conn) refused(err error) {
	l := c.loop
	l.count.Refused++
	c.counts().refused.Add(1)
	if t := l.server.trace; t != nil && t.Refused != nil {
		l.call(c, func() { t.Refused(c, err) })
	}
}

// reject ends c, which Accept has refused for err. What Accept wrote to it is sent first: a refusal ends in order, though the
// peer may have sent something already, unless Accept panicked.
func (c *Conn) reject(err error) {
	c.refused(err)
	c.mu.Lock()
	c.endAs(order, err)
	silent := c.sent == 0 && c.pending() == 0 && c.out&(inBatch|sealed) == 0 && c.ending.how == order
	c.mu.Unlock()
	if silent {
		c.finish(err)
		return
	}
	c.become(stateOpen) // it ends as any other
	c.schedule()
}

// connected takes from the engine how connecting has ended.
func (c *Conn) connected(errno syscall.Errno) {
	more, k := c.extra(), c.loop.kernel
	if errno == 0 && more.current.path == "" {
		errno = c.checkPeer()
	}
	if errno != 0 {
		t := more.current
		c.mu.Lock()
		c.loop.engine.Release(&c.line)
		c.mu.Unlock()
		if errno == errSelf {
			c.after(time.Millisecond, func() { c.tryAgain(t) })
			return
		}
		more.dial.tried(t, os.NewSyscallError("connect", rawio.Error(errno)))
		c.tryNext()
		return
	}
	ahead, adopted := more.dial.ahead, more.dial.adopted
	more.since, more.current = c.loop.clock(), target{}
	if peer, path := k.PeerName(int(c.line.FD)); adopted {
		// its address is known
	} else if more.dial.isPath() {
		more.setRemote(&net.UnixAddr{Name: path, Net: "unix"})
	} else {
		more.setRemote(netAddr(peer, ""))
	}
	c.mu.Lock()
	c.out &^= blocked
	c.mu.Unlock()
	if c.encryption() != nil {
		c.become(stateHandshaking)
		c.schedule()
		c.queueHandshake()
	} else {
		c.dialDone()
		if len(ahead) > 0 && c.state == stateOpen {
			c.loop.Received(&c.line, ahead)
		}
	}
	c.flush()
	c.schedule() // flush takes it for watched for room already, as connecting is
}

// errSelf is why a connection is tried again: it was one of a socket with itself.
const errSelf = syscall.EALREADY

// checkPeer tells what is wrong with a connection that seems to be there. A port of this machine that nobody listens on can be
// the very one that the system chose for this end; then the socket is connected to itself (RFC 9293, section 3.5, simultaneous
// open). That is a refused connection, and tried again, as the next port is another one.
func (c *Conn) checkPeer() syscall.Errno {
	const tries = 3
	k, fd := c.loop.kernel, int(c.line.FD)
	local, _ := k.LocalName(fd)
	peer, _ := k.PeerName(fd)
	if ap, _ := peer.AddrPort(); local != peer || !ap.IsValid() {
		return 0
	}
	k.Reset(fd) // it would keep its port for a while, from who listens there
	d := c.extra().dial
	if d.selves++; d.selves < tries {
		return errSelf
	}
	d.selves = 0
	return syscall.ECONNREFUSED
}

// dialDone opens a dialled connection.
func (c *Conn) dialDone() {
	if more := c.extra(); more.dial != nil {
		more.dial.done()
		more.dial = nil
	}
	c.loop.count.Dialled++
	c.opened()
}

// giveUp ends a connection that did not come about. It may be there before its socket is closed: a reset then.
func (c *Conn) giveUp(err error) {
	if c.state < stateOpen {
		c.breakDown(c.extra().dial.failure(err))
	}
}

// An Admitter decides about accepted connections before TLS begins and before Server.Accept is called: by the address of the
// peer, or by what the peer says first. Package access has one for lists and limits, package proxyproto one for the header of
// the PROXY protocol. Both methods run on the loop of the connection and must not wait. One Admitter serves all loops.
//
// Server.Admission may hold several. They are asked in order: each after those before it have admitted the connection, with the
// bytes that those have not consumed.
type Admitter interface {
	// Admit is called when c is accepted, with an empty p. While it returns io.ErrUnexpectedEOF it is called again when more
	// bytes have arrived, with all that has arrived; Server.HandshakeTimeout and Server.InputLimit bound that. With a nil
	// error c is admitted: TLS, or the handler, gets what follows the n bytes that Admit has consumed. Any other error
	// refuses c with a reset; Trace.Refused gets the error. p is valid until Admit returns, and must not be modified.
	Admit(c *Conn, p []byte) (n int, err error)

	// Ended is called exactly once for each connection that Admit has admitted, when the connection has ended, before
	// Handler.Closed. It is also called when the TLS handshake has failed or Server.Accept has refused the connection.
	Ended(c *Conn)
}

// A Readmitter is an Admitter that hears of the connections that came from another process (Server.Takeover), where Admit was
// asked about them. Readmit cannot refuse c, and Ended is called for it as for a connection that Admit has admitted. Other
// Admitters hear nothing of such connections.
type Readmitter interface {
	Admitter
	Readmit(c *Conn)
}

// SetRemoteAddr replaces the address that RemoteAddr returns, for a connection that a proxy passes on for somebody else. It
// belongs to the loop; an Admitter may call it.
func (c *Conn) SetRemoteAddr(addr net.Addr) {
	c.checkLoop("Conn.SetRemoteAddr")
	c.extra().setRemote(addr)
}

// askAdmission asks the Admitters about c, one after another, and goes on when all have admitted it. c.in is what has been
// received.
func (c *Conn) askAdmission() {
	all := c.Server().Admission
	for n := c.admissions(); n < len(all); n++ {
		if !c.askAdmitter(all[n]) {
			return
		}
		c.marks.Add(1 << admissionShift)
	}
	c.admitted()
}

// askAdmitter tells whether a has admitted c. If it has not, c waits for more bytes, or is refused.
func (c *Conn) askAdmitter(a Admitter) bool {
	l := c.loop
	var p []byte
	if c.in != nil {
		p = c.in.B
	}
	n, err, returned := 0, error(nil), false
	defer func() {
		if !returned { // runtime.Goexit: nothing behind the call below runs
			c.refused(c.endedFor())
		}
	}()
	ok := l.call(c, func() { n, err = a.Admit(c, p[:len(p):len(p)]) })
	returned = true
	if ok && err == nil && n >= 0 && n <= len(p) && c.marked(stopMark) { // it has admitted c all the same, and is to hear of the end
		c.marks.Add(1 << admissionShift)
	}
	switch {
	case !ok || c.marked(stopMark): // it panicked, or somebody closed c
		err = cmp.Or(c.endedFor(), ErrAborted)
	case n < 0 || n > len(p):
		err = ErrBadCount
	case err == io.ErrUnexpectedEOF && len(p) < l.limits.InputLimit:
		c.schedule()
		return false
	case err == io.ErrUnexpectedEOF:
		err = fmt.Errorf("%w: %d bytes have come and Server.Admission wants more, Server.InputLimit is %d", ErrTooLong, len(p),
			l.limits.InputLimit)
	}
	if err != nil {
		c.deny(err)
		return false
	}
	c.keep(p[n:])
	return true
}

// admissions returns how many of the Admitters have admitted c.
func (c *Conn) admissions() int { return int(c.marks.Load() & admissionsMarks >> admissionShift) }

// admitted goes on with an accepted connection: with TLS, or with Accept.
func (c *Conn) admitted() {
	c.become(stateHandshaking)
	if c.flags&secured != 0 {
		c.schedule()
		if c.in != nil {
			c.receiveHandshake(nil)
		}
		return
	}
	c.askAccept()
	if c.in != nil && c.state == stateOpen {
		c.later(todoOffer)
	}
}

// deny resets c, which was not admitted: an end in order would look like an empty answer.
func (c *Conn) deny(err error) {
	c.refused(err)
	c.loop.kernel.Reset(int(c.line.FD))
	c.finish(err)
}

// admissionTooLong refuses c, which has not said in time what the Admitter waits for.
func (c *Conn) admissionTooLong() { c.deny(ErrHandshakeTimeout) }

// readmit tells the Readmitters of c, which came from another process.
func (c *Conn) readmit() {
	all := c.Server().Admission
	if len(all) == 0 || c.flags&dialled != 0 {
		return
	}
	c.marks.Or(readmitted)
	for _, a := range all {
		if r, ok := a.(Readmitter); ok {
			c.loop.call(c, func() { r.Readmit(c) })
		}
	}
}

// tellEnded tells the Admitters that have admitted c, or heard of it, that it is gone: the last first, and all of them also if one
// calls runtime.Goexit.
func (c *Conn) tellEnded() {
	all, again := c.Server().Admission, c.marked(readmitted)
	if !again {
		all = all[:c.admissions()]
	}
	c.marks.And(^uint32(admissionsMarks | readmitted))
	for _, a := range all {
		if _, hears := a.(Readmitter); hears || !again {
			defer c.loop.call(c, func() { a.Ended(c) })
		}
	}
}
