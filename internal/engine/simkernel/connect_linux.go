package simkernel

import (
	"net/netip"
	"syscall"
	"time"
)

// An Outcome is what becomes of a connection that the program begins.
type Outcome uint8

const (
	ByChance    Outcome = iota
	Accepts             // a peer is there
	Refuses             // ECONNREFUSED, soon
	Silent              // nobody answers for two minutes: ETIMEDOUT
	NoAddress           // EADDRNOTAVAIL at once: no local port is left
	Unreachable         // ENETUNREACH at once
	Itself              // the local port that chance gives is the one asked for
)

var outcomes = [...]Outcome{Accepts, Accepts, Accepts, Accepts, Accepts, Accepts, Refuses, Silent, NoAddress, Unreachable, Itself}

// Listen makes a listening socket.
func (k *Kernel) Listen(address netip.AddrPort, backlog int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.listen(&listener{k: k, address: address, backlog: backlog})
}

// ListenUnix makes a listening Unix socket.
func (k *Kernel) ListenUnix(path string, backlog int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.listen(&listener{k: k, unix: true, path: path, backlog: backlog})
}

func (k *Kernel) listen(ln *listener) int {
	fd, errno := k.install(ln)
	if errno != 0 {
		panic(errno)
	}
	ln.file = k.files[fd]
	k.listeners = append(k.listeners, ln)
	return fd
}

// localPort gives every connection a port of its own, so that the address tells which it is.
func (k *Kernel) localPort() netip.AddrPort {
	k.port++
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), k.port)
}

// ConnectInet implements engine.Kernel.
func (k *Kernel) ConnectInet(fd int, to netip.AddrPort, _ uint32) syscall.Errno {
	k.call("connect")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "connect", fd)
	switch {
	case !ok:
		return syscall.EBADF
	case s.state == stateConnecting:
		return syscall.EALREADY
	case s.state == stateConnected:
		return syscall.EISCONN
	}
	s.remote = to
	for _, ln := range k.listeners {
		if !ln.unix && !ln.closed && ln.address == to {
			s.local, s.state = k.localPort(), stateConnecting
			k.after(k.latency(), func() { ln.arrive(s, s.wake) })
			return syscall.EINPROGRESS
		}
	}
	switch outcome := k.outcome(to.String()); outcome {
	case NoAddress:
		return syscall.EADDRNOTAVAIL
	case Unreachable:
		return syscall.ENETUNREACH
	default:
		s.local, s.state = k.localPort(), stateConnecting
		k.conclude(s, outcome)
	}
	return syscall.EINPROGRESS
}

func (k *Kernel) outcome(address string) Outcome {
	outcome := ByChance
	if k.Target != nil {
		outcome = k.Target(address)
	}
	if outcome == ByChance {
		outcome = outcomes[k.rng.IntN(len(outcomes))]
	}
	return outcome
}

// conclude has connecting end.
func (k *Kernel) conclude(s *sock, outcome Outcome) {
	fails := func(after time.Duration, errno syscall.Errno) {
		k.after(after, func() {
			if s.state == stateConnecting {
				s.err, s.state, s.noMore, s.shut = errno, stateDead, true, true
				s.wake()
			}
		})
	}
	switch outcome {
	case Refuses:
		fails(k.latency(), syscall.ECONNREFUSED)
	case Silent:
		fails(2*time.Minute, syscall.ETIMEDOUT)
	case Itself:
		s.local = s.remote
		k.after(k.latency(), func() {
			if !s.orphan {
				join(s, s)
				s.wake()
			}
		})
	default:
		p := k.newPeer(s.remote.String())
		k.after(k.latency(), func() {
			if s.orphan {
				return
			}
			p.sock = k.newSock(false)
			p.sock.owner, p.sock.local, p.sock.remote = p, s.remote, s.local
			join(s, p.sock)
			s.wake()
			p.begin()
		})
		k.byConn(s, p)
	}
}

// Connected makes a connection that is there, to a peer at an address. Its descriptor is the program's.
func (k *Kernel) Connected(to netip.AddrPort) (fd int, p *Peer, errno syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.newSock(false)
	if fd, errno = k.own(s); errno != 0 {
		return -1, nil, errno
	}
	s.local, s.remote = k.localPort(), to
	p = k.newPeer(to.String())
	p.sock = k.newSock(false)
	p.sock.owner, p.sock.local, p.sock.remote = p, to, s.local
	join(s, p.sock)
	k.byConn(s, p)
	p.begin()
	return fd, p, 0
}

// ConnectUnix implements engine.Kernel.
func (k *Kernel) ConnectUnix(fd int, path string) syscall.Errno {
	k.call("connect")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "connect", fd)
	if !ok {
		return syscall.EBADF
	}
	if s.state == stateConnected {
		return syscall.EISCONN
	}
	s.path = path
	for _, ln := range k.listeners {
		if ln.unix && !ln.closed && ln.path == path {
			if len(ln.waiting) >= ln.backlog {
				return syscall.EAGAIN
			}
			ln.arrive(s, s.wake)
			return 0
		}
	}
	switch k.outcome(path) {
	case Accepts:
		p := k.newPeer(path)
		p.sock = k.newSock(true)
		p.sock.owner = p
		join(s, p.sock)
		k.byConn(s, p)
		p.begin()
		return 0
	case Silent: // its backlog is full
		return syscall.EAGAIN
	case NoAddress:
		return syscall.ENOENT
	}
	return syscall.ECONNREFUSED
}

// byConn remembers who is at the other end of s, before it is there.
func (k *Kernel) byConn(s *sock, p *Peer) { p.of = s }

// PeerOf returns the peer of the connection that has a descriptor, nil if it is none of the simulation's.
func (k *Kernel) PeerOf(fd int) *Peer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if fd < 0 || fd >= len(k.files) || k.files[fd] == nil {
		return nil
	}
	s, ok := k.files[fd].object.(*sock)
	if !ok {
		return nil
	}
	if s.other != nil && s.other.owner != nil {
		return s.other.owner
	}
	for _, p := range k.peers {
		if p.of == s {
			return p
		}
	}
	return nil
}
