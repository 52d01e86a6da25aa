package simkernel

import (
	"net/netip"
	"syscall"
	"time"
)

// A sock is one end of a stream connection. TCP unless unix.
type sock struct {
	k      *Kernel
	unix   bool
	local  netip.AddrPort
	remote netip.AddrPort
	path   string // of a Unix socket that was connected
	state  uint8
	other  *sock // the other end, itself if it has connected to itself
	owner  *Peer // who plays this end, nil if the program has it
	file   func() *file

	out      []byte // sent, and not yet at the other end
	unacked  int    // at the other end, which has not said so yet, its FIN counted
	room     int    // of out and unacked
	in       []byte // received, and not yet read
	window   int    // how much in may hold
	err      syscall.Errno
	done     bool // a FIN was received
	told     bool // and its end was read
	noMore   bool // nothing more is received
	shut     bool // nothing more is sent
	finSent  bool
	orphan   bool // closed
	noLinger bool
	moving   bool          // a delivery is on its way
	taken    time.Duration // when the other end last acknowledged something
	arrived  time.Duration // when something of the other end's last arrived
}

const (
	stateFresh = iota
	stateConnecting
	stateConnected
	stateDead // reset, or never there
)

func (k *Kernel) newSock(unix bool) *sock {
	size := func() int {
		if k.Wide {
			return []int{16 << 10, 64 << 10, 128 << 10}[k.rng.IntN(3)]
		}
		return []int{20 + k.rng.IntN(200), 512, 4096, 16 << 10, 64 << 10, 64 << 10}[k.rng.IntN(6)]
	}
	return &sock{k: k, unix: unix, room: size(), window: size()}
}

// join connects two ends.
func join(a, b *sock) {
	a.other, b.other = b, a
	a.state, b.state = stateConnected, stateConnected
}

// wake tells those who wait for s that something has happened.
func (s *sock) wake() {
	if s.owner != nil {
		s.owner.wake()
	}
	if s.file != nil {
		if f := s.file(); f != nil {
			f.wakes++
		}
	}
}

func (s *sock) free() int {
	if s.unix {
		if s.other == nil {
			return s.room
		}
		return max(0, s.room-len(s.other.in))
	}
	return max(0, s.room-len(s.out)-s.unacked)
}

// poll is tcp_poll and unix_poll.
func (s *sock) poll() (m uint32) {
	if s.noMore && s.shut || s.state == stateFresh || s.state == stateDead {
		m |= pollHup
	}
	if s.noMore {
		m |= pollIn | pollRdHup
	}
	if s.state != stateConnecting {
		if len(s.in) > 0 {
			m |= pollIn
		}
		if s.shut || s.free()*3 >= s.room {
			m |= pollOut
		}
	}
	if s.err != 0 {
		m |= pollErr
	}
	return m
}

// progressed counts what the program has got done, and not its peers.
func (s *sock) progressed() {
	if s.owner == nil {
		s.k.progress++
	}
}

func (s *sock) upTo(n int) int {
	if s.owner == nil {
		return s.k.upTo(n)
	}
	return n
}

func (s *sock) takeError() syscall.Errno {
	errno := s.err
	s.err = 0
	if errno != 0 {
		s.progressed()
	}
	return errno
}

func (s *sock) recv(p []byte) (int, syscall.Errno) {
	switch {
	case len(p) == 0:
		return 0, 0
	case len(s.in) > 0:
		n := s.upTo(min(len(p), len(s.in)))
		copy(p, s.in[:n])
		s.consume(n)
		return n, 0
	case s.done:
		if !s.told { // to hear of the end again is no progress
			s.told = true
			s.progressed()
		}
		return 0, 0
	case s.err != 0:
		return 0, s.takeError()
	case s.noMore:
		s.progressed()
		return 0, 0
	case s.state == stateFresh:
		return 0, syscall.ENOTCONN
	}
	return 0, syscall.EAGAIN
}

// consume takes n bytes out of what was received, which opens the window.
func (s *sock) consume(n int) {
	s.in = s.in[n:]
	s.progressed()
	if s.unix {
		s.other.wake()
	} else {
		s.other.move()
	}
}

func (s *sock) send(p []byte) (int, syscall.Errno) {
	switch {
	case s.state == stateConnecting:
		return 0, syscall.EAGAIN
	case s.shut || s.err != 0:
		if s.unix {
			return 0, syscall.EPIPE
		}
		if errno := s.takeError(); errno != 0 {
			return 0, errno
		}
		return 0, syscall.EPIPE
	case s.state == stateFresh:
		return 0, syscall.EPIPE
	case len(p) == 0:
		return 0, 0
	}
	n := min(len(p), s.free())
	if n == 0 {
		return 0, syscall.EAGAIN
	}
	n = s.upTo(n)
	s.progressed()
	if s.unix {
		s.other.in = append(s.other.in, p[:n]...)
		s.other.arrived = s.k.now
		s.other.wake()
		return n, 0
	}
	s.out = append(s.out, p[:n]...)
	s.move()
	return n, 0
}

// move has what was sent go on its way.
func (s *sock) move() {
	if s.moving || s.state != stateConnected || len(s.out) == 0 && (!s.shut || s.finSent) {
		return
	}
	s.moving = true
	s.k.after(s.k.latency(), func() {
		s.moving = false
		s.deliver()
	})
}

// deliver brings to the other end what it has room for, and behind all of it the FIN.
func (s *sock) deliver() {
	o := s.other
	if s.state != stateConnected {
		return
	}
	if len(s.out) > 0 {
		if o.orphan || o.state != stateConnected { // nobody is there who could read it
			o.out, o.state = nil, stateDead
			s.reset()
			return
		}
		n := min(len(s.out), o.window-len(o.in))
		if n > 1 && s.k.rng.IntN(4) == 0 {
			n = 1 + s.k.rng.IntN(n)
		}
		if n <= 0 {
			return // until the other end has read
		}
		o.in = append(o.in, s.out[:n]...)
		o.arrived = s.k.now
		s.out = s.out[n:]
		s.acknowledge(n)
		o.wake()
	}
	if len(s.out) == 0 && s.shut && !s.finSent {
		s.finSent = true
		s.acknowledge(1)
		o.done, o.noMore = true, true
		o.wake()
	}
	s.move()
}

// acknowledge frees the room of n bytes a little later.
func (s *sock) acknowledge(n int) {
	s.unacked += n
	s.k.after(s.k.latency(), func() {
		if s.state == stateConnected { // else the count stays what it was, as the kernel's does
			s.unacked -= n
			s.taken = s.k.now
			s.wake()
		}
	})
}

// over tells whether both ends have ended their output, and know it.
func (s *sock) over() bool { return s.done && s.finSent && s.unacked == 0 }

// reset is what an RST does to the end that gets it.
func (s *sock) reset() {
	if s.state == stateDead || s.over() {
		return
	}
	switch {
	case s.state == stateConnecting:
		s.err = syscall.ECONNREFUSED
	case s.done && !s.shut:
		s.err = syscall.EPIPE
	default:
		s.err = syscall.ECONNRESET
	}
	s.state, s.noMore, s.shut = stateDead, true, true
	s.unacked += len(s.out)
	s.out = nil
	s.wake()
}

// sendReset ends s, and tells the other end.
func (s *sock) sendReset() {
	o := s.other
	s.state, s.out = stateDead, nil
	s.noMore, s.shut = true, true
	s.k.after(s.k.latency(), o.reset)
}

func (s *sock) shutdownWrite() syscall.Errno {
	if s.state != stateConnected || s.over() {
		return syscall.ENOTCONN
	}
	if s.shut {
		return 0
	}
	s.shut = true
	s.progressed()
	if s.unix {
		s.other.noMore = true
		s.other.wake()
	} else {
		s.move()
	}
	s.wake()
	return 0
}

// release is close(2).
func (s *sock) release() {
	s.orphan = true
	switch {
	case s.state != stateConnected:
		s.state = stateDead
	case s.unix:
		o := s.other
		if len(s.in) > 0 {
			o.err = syscall.ECONNRESET
		}
		s.state, s.in = stateDead, nil
		o.noMore, o.shut = true, true
		o.wake()
	case len(s.in) > 0 || s.noLinger:
		s.in = nil
		s.sendReset()
	default:
		s.noMore, s.shut = true, true
		s.move()
	}
}

// untaken is SIOCOUTQ.
func (s *sock) untaken() int {
	if s.unix {
		if s.other == nil {
			return 0
		}
		return len(s.other.in)
	}
	n := len(s.out) + s.unacked
	if s.shut && !s.finSent && s.state == stateConnected {
		n++
	}
	return n
}
