package socket

import (
	"sync"
	"sync/atomic"
	"syscall"
)

// A Socket is one end of a communication, as the system call socket(2) makes it. All methods may be called from any
// goroutine. Blocking calls in the same direction take turns; one in each direction can wait at the same time.
//
// A Socket that is no longer reachable is closed by the garbage collector at some later time. Do not count on it.
type Socket struct {
	fd     int
	family int
	typ    int
	proto  int

	// Life: twice the number of calls that use fd now, plus two while it is open, plus one once Close was called.
	life atomic.Int32

	// Waiting
	timeout atomic.Int64            // of a call, in nanoseconds: negative waits for ever, 0 never
	turn    [2]turn                 // taken by the blocking call of a direction
	parked  atomic.Pointer[parking] // nil until a call first has to wait

	mu         sync.Mutex // guards what follows
	name       Addr       // what errors call the socket: the peer if there is one, else the own address
	file       *boundFile // the socket file to remove at Close
	connecting bool       // a non-blocking Connect has begun, and SocketError was not asked yet
	connected  bool       // a Connect is done
}

// New makes a socket: socket(2). The family is AF_INET, AF_INET6 or AF_UNIX, on Linux also AF_VSOCK, AF_NETLINK or
// AF_PACKET (whose protocol is in network byte order: Htons(ETH_P_ALL)); the type SOCK_STREAM or SOCK_DGRAM, or
// another that the system knows; proto is 0 for the type's usual protocol. The socket is in blocking mode, or in
// non-blocking mode with a type such as SOCK_STREAM|SOCK_NONBLOCK, and is not inherited by child processes, with
// SOCK_CLOEXEC or without.
func New(family, typ, proto int) (*Socket, error) {
	typ, blocking := splitType(typ)
	if err := knownFamily(family); err != nil {
		return nil, failed("socket", "", err)
	}
	fd, err := sysSocket(family, typ, proto)
	if err != nil {
		return nil, failed("socket", "", err)
	}
	s := adopt(fd, family, typ, proto)
	s.SetBlocking(blocking)
	return s, nil
}

// Pair makes two sockets that are connected with each other: socketpair(2). The family is AF_UNIX as a rule. The type
// may have flags as in New.
func Pair(family, typ, proto int) (a, b *Socket, err error) {
	typ, blocking := splitType(typ)
	if err := knownFamily(family); err != nil {
		return nil, nil, failed("socketpair", "", err)
	}
	fds, err := sysPair(family, typ, proto)
	if err != nil {
		return nil, nil, failed("socketpair", "", err)
	}
	a, b = adopt(fds[0], family, typ, proto), adopt(fds[1], family, typ, proto)
	a.name, b.name = UnixAddr(""), UnixAddr("")
	a.SetBlocking(blocking)
	b.SetBlocking(blocking)
	return a, b, nil
}

// splitType takes the flags off a type.
func splitType(typ int) (bare int, blocking bool) {
	return typ &^ (SOCK_NONBLOCK | SOCK_CLOEXEC), typ&SOCK_NONBLOCK == 0
}

// FromFD makes a Socket of a descriptor that is one already, inherited for instance, and finds its family and type
// out by itself. It takes the descriptor over: Close closes it. It sets O_NONBLOCK and close-on-exec; the former also
// holds for other processes that share the socket. The Socket is in blocking mode. After an error fd is the
// caller's still.
func FromFD(fd int) (*Socket, error) {
	typ, err := sysOption(fd, SOL_SOCKET, SO_TYPE)
	if err != nil {
		return nil, failed("fromfd", "", err)
	}
	local, family, err := sysLocalAddr(fd)
	if err == nil {
		err = knownFamily(family)
	}
	if err == nil {
		err = sysSetNonblock(fd, true)
	}
	if err == nil {
		err = sysSetInheritable(fd, false)
	}
	if err == nil {
		err = sysNoSigpipe(fd)
	}
	if err != nil {
		return nil, failed("fromfd", local.String(), err)
	}
	s := adopt(fd, family, typ, sysProtocol(fd))
	s.name = local
	if peer, _, err := sysPeerAddr(fd); err == nil && peer.IsValid() {
		s.name = peer
	}
	return s, nil
}

// Family returns AF_INET, AF_INET6, AF_UNIX or another family.
func (s *Socket) Family() int { return s.family }

// Type returns SOCK_STREAM, SOCK_DGRAM or another type.
func (s *Socket) Type() int { return s.typ }

// Proto returns the protocol that was given to New; FromFD asks the system where it can tell.
func (s *Socket) Proto() int { return s.proto }

// FD returns the descriptor: for a selector, or for a system call that this package does not have. It is -1 after
// Close and Detach. The Socket still owns it, and must be kept alive (see [runtime.KeepAlive]) while it is in use.
// The descriptor is in non-blocking mode whatever mode the Socket is in; leave it there.
func (s *Socket) FD() int {
	if s.closed() {
		return -1
	}
	return s.fd
}

// Bind gives the socket its own address: bind(2). Port 0 lets the system choose; LocalAddr tells which.
// A path makes a socket file, which Close does not remove (CreateServer's does).
func (s *Socket) Bind(to Addr) error {
	err := to.unfit(s.family)
	if err == nil {
		err = s.use(func(fd int) error { return sysBind(fd, to) })
	}
	if err != nil {
		return failed("bind", to.String(), err)
	}
	s.setName(to)
	if to.port == 0 {
		s.learnName()
	}
	return nil
}

// Listen makes the socket one that accepts connections: listen(2). At most about backlog connections wait to be
// accepted, within the limit of the system; a negative backlog is 0.
func (s *Socket) Listen(backlog int) error {
	err := s.use(func(fd int) error { return sysListen(fd, max(backlog, 0)) })
	if err != nil {
		return s.fail("listen", err)
	}
	s.learnName() // an unbound socket got its port just now
	return nil
}

// Shutdown ends one or both directions: shutdown(2), with SHUT_RD, SHUT_WR or SHUT_RDWR. After SHUT_WR the peer reads
// to the end of the stream and can still reply. Unlike Close it also holds for duplicates of the descriptor.
func (s *Socket) Shutdown(how int) error {
	err := s.use(func(fd int) error { return sysShutdown(fd, how) })
	if p := s.parked.Load(); !shutdownWakes && err == nil && how != SHUT_WR && p != nil {
		p.endReading()
	}
	return s.fail("shutdown", err)
}

// LocalAddr returns the socket's own address: getsockname(2).
func (s *Socket) LocalAddr() (Addr, error) { return s.addr("getsockname", sysLocalAddr) }

// PeerAddr returns the address of the other end: getpeername(2). The error is ENOTCONN when there is none.
func (s *Socket) PeerAddr() (Addr, error) { return s.addr("getpeername", sysPeerAddr) }

func (s *Socket) addr(op string, get func(fd int) (Addr, int, error)) (a Addr, err error) {
	err = s.use(func(fd int) (err error) {
		a, _, err = get(fd)
		return err
	})
	return a, s.fail(op, err)
}

// Dup returns a second Socket on the same communication, in the same mode: dup(2). Either can be closed without the other.
func (s *Socket) Dup() (*Socket, error) {
	var fd int
	err := s.use(func(old int) (err error) {
		fd, err = sysDup(old)
		return err
	})
	if err != nil {
		return nil, s.fail("dup", err)
	}
	d := adopt(fd, s.family, s.typ, s.proto)
	d.timeout.Store(s.timeout.Load())
	s.mu.Lock()
	d.name = s.name
	s.mu.Unlock()
	return d, nil
}

// SetInheritable says whether child processes get the descriptor; at first they do not. See also [os/exec.Cmd.ExtraFiles].
func (s *Socket) SetInheritable(on bool) error {
	return s.fail("set inheritable", s.use(func(fd int) error { return sysSetInheritable(fd, on) }))
}

// Inheritable reports whether child processes get the descriptor.
func (s *Socket) Inheritable() (on bool, err error) {
	err = s.use(func(fd int) (err error) {
		on, err = sysInheritable(fd)
		return err
	})
	return on, s.fail("get inheritable", err)
}

func knownFamily(family int) error {
	switch family {
	case AF_INET, AF_INET6, AF_UNIX:
		return nil
	}
	if otherFamily(family) != "" {
		return nil
	}
	return invalid(syscall.EAFNOSUPPORT, "the family must be AF_INET, AF_INET6 or AF_UNIX")
}

func (s *Socket) setName(a Addr) {
	s.mu.Lock()
	s.name = a
	s.mu.Unlock()
}

// learnName asks the system for the address that it chose.
func (s *Socket) learnName() {
	if a, err := s.LocalAddr(); err == nil {
		s.setName(a)
	}
}
