package socket

import (
	"sync"
	"sync/atomic"
	"syscall"
)

// A Socket is one end of a connection or a conversation, as socket(2) makes it. New, Pair, CreateServer,
// CreateConnection and FromFD make one; the zero Socket is not usable.
//
// Any goroutine may call its methods. One call in each direction can wait at a time; further calls in the same
// direction wait for their turn.
//
// The garbage collector closes a Socket that is no longer reachable, at some later time. Do not rely on it.
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

// New makes a socket: socket(2). The family is AF_INET, AF_INET6 or AF_UNIX; on Linux also AF_VSOCK, AF_NETLINK or
// AF_PACKET, whose protocol is in network byte order: Htons(ETH_P_ALL). The type is SOCK_STREAM, SOCK_DGRAM or
// another one of the system. proto is 0 for the usual protocol of the type.
//
// The socket is in blocking mode, or with a type such as SOCK_STREAM|SOCK_NONBLOCK in non-blocking mode. Child
// processes do not inherit it, with or without SOCK_CLOEXEC.
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

// Pair makes two sockets that are connected to each other: socketpair(2). The family is AF_UNIX on most systems. The
// type may have flags as in New.
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

// FromFD makes a Socket of an open descriptor, such as an inherited one. It asks the system for the family and the
// type. The Socket owns the descriptor: Close closes it. After an error the caller still owns it.
//
// FromFD sets O_NONBLOCK and close-on-exec. O_NONBLOCK also applies to other processes that share the socket. The
// Socket is in blocking mode.
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

// Proto returns the protocol that New was given. For a Socket of FromFD it is the one that the system reports, or 0.
func (s *Socket) Proto() int { return s.proto }

// FD returns the descriptor, for a selector or for a system call that this package does not have. It is -1 after
// Close and Detach. The Socket still owns the descriptor: keep the Socket reachable while you use it (see
// runtime.KeepAlive), and do not close it. The descriptor is in non-blocking mode regardless of the mode of the
// Socket. Leave it so.
func (s *Socket) FD() int {
	if s.closed() {
		return -1
	}
	return s.fd
}

// Bind gives the socket its local address: bind(2). For port 0 the system chooses a port, which LocalAddr returns. A
// path creates a socket file, which Close does not remove (but Close of a socket of CreateServer does).
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

// Listen lets the socket accept connections: listen(2). About backlog connections may wait to be accepted, but not
// more than the system allows. A negative backlog is 0.
func (s *Socket) Listen(backlog int) error {
	err := s.use(func(fd int) error { return sysListen(fd, max(backlog, 0)) })
	if err != nil {
		return s.fail("listen", err)
	}
	s.learnName() // an unbound socket got its port just now
	return nil
}

// Shutdown ends one or both directions of the connection: shutdown(2), with SHUT_RD, SHUT_WR or SHUT_RDWR. After
// SHUT_WR the peer reads to the end of the stream and can still reply. Unlike Close it also affects duplicates of the
// descriptor.
func (s *Socket) Shutdown(how int) error {
	err := s.use(func(fd int) error { return sysShutdown(fd, how) })
	if p := s.parked.Load(); !shutdownWakes && err == nil && how != SHUT_WR && p != nil {
		p.endReading()
	}
	return s.fail("shutdown", err)
}

// LocalAddr returns the local address of the socket: getsockname(2).
func (s *Socket) LocalAddr() (Addr, error) { return s.addr("getsockname", sysLocalAddr) }

// PeerAddr returns the address of the peer: getpeername(2). Without a peer it fails with ENOTCONN.
func (s *Socket) PeerAddr() (Addr, error) { return s.addr("getpeername", sysPeerAddr) }

func (s *Socket) addr(op string, get func(fd int) (Addr, int, error)) (a Addr, err error) {
	err = s.use(func(fd int) (err error) {
		a, _, err = get(fd)
		return err
	})
	return a, s.fail(op, err)
}

// Dup returns a second Socket that shares the connection, in the same mode: dup(2). Each is closed by itself.
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

// SetInheritable sets whether child processes inherit the descriptor. New sockets are not inherited. See also
// os/exec.Cmd.ExtraFiles.
func (s *Socket) SetInheritable(on bool) error {
	return s.fail("set inheritable", s.use(func(fd int) error { return sysSetInheritable(fd, on) }))
}

// Inheritable reports whether child processes inherit the descriptor.
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
