package switchboard

import (
	"cmp"
	"fmt"
	"io"
	"net"
)

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
	switch {
	case !ok || c.marked(stopMark): // it panicked, or closed c
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

// tellEnded tells the Admitters that have admitted c that it is gone, the last first.
func (c *Conn) tellEnded() {
	for n := c.admissions(); n > 0; n-- {
		c.marks.Add(^uint32(1<<admissionShift - 1)) // before the call, which may not return
		c.loop.call(c, func() { c.Server().Admission[n-1].Ended(c) })
	}
}
