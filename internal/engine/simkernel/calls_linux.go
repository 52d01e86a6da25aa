package simkernel

import (
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// again tells whether a call says EAGAIN for nothing.
func (k *Kernel) again() bool { return k.chance(k.Faults.Again) }

// Accept implements engine.Kernel.
func (k *Kernel) Accept(fd int) (int, rawio.Peer, syscall.Errno) {
	k.call("accept")
	defer k.mu.Unlock()
	ln, ok := find[*listener](k, "accept", fd)
	if !ok {
		return -1, rawio.Peer{}, syscall.EBADF
	}
	if errno := k.noFiles(); errno != 0 { // before it looks whether somebody waits
		return -1, rawio.Peer{}, errno
	}
	if len(ln.waiting) == 0 || k.again() {
		return -1, rawio.Peer{}, syscall.EAGAIN
	}
	s := ln.waiting[0]
	if s.state == stateDead && k.rng.IntN(2) == 0 { // as some systems say
		ln.waiting = ln.waiting[1:]
		s.orphan = true
		return -1, rawio.Peer{}, syscall.ECONNABORTED
	}
	conn, errno := k.own(s)
	if errno != 0 {
		return -1, rawio.Peer{}, errno
	}
	ln.waiting = ln.waiting[1:]
	k.progress++
	return conn, s.name(s.remote), 0
}

// own gives the program a descriptor of s.
func (k *Kernel) own(s *sock) (int, syscall.Errno) {
	fd, errno := k.install(s)
	if errno == 0 {
		f := k.files[fd]
		s.file = func() *file { return f }
	}
	return fd, errno
}

func (s *sock) name(at netip.AddrPort) rawio.Peer {
	if s.unix || !at.IsValid() {
		return rawio.Peer{}
	}
	return rawio.PeerOf(at, 0)
}

// Recv implements engine.Kernel.
func (k *Kernel) Recv(fd int, p []byte) (int, syscall.Errno) {
	k.call("recv")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "recv", fd)
	switch {
	case !ok:
		return 0, syscall.EBADF
	case k.again():
		return 0, syscall.EAGAIN
	}
	return s.recv(p)
}

// Send implements engine.Kernel.
func (k *Kernel) Send(fd int, p []byte) (int, syscall.Errno) {
	k.call("send")
	defer k.mu.Unlock()
	return k.send(fd, p)
}

func (k *Kernel) send(fd int, p []byte) (int, syscall.Errno) {
	s, ok := find[*sock](k, "send", fd)
	switch {
	case !ok:
		return 0, syscall.EBADF
	case k.again():
		return 0, syscall.EAGAIN
	}
	return s.send(p)
}

// Sleep implements engine.Kernel.
func (k *Kernel) Sleep(d time.Duration) {
	k.call("sleep of a thread")
	defer k.mu.Unlock()
	k.waits++
	if k.threads > 1 {
		k.await(&waiter{ready: func() bool { return false }, deadline: k.now + d}, true)
		return
	}
	k.advance(k.now + d)
}

// ShutdownWrite implements engine.Kernel.
func (k *Kernel) ShutdownWrite(fd int) syscall.Errno {
	k.call("shutdown")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "shutdown", fd)
	if !ok {
		return syscall.EBADF
	}
	return s.shutdownWrite()
}

// Reset implements engine.Kernel.
func (k *Kernel) Reset(fd int) {
	k.call("setsockopt SO_LINGER")
	defer k.mu.Unlock()
	if s, ok := find[*sock](k, "setsockopt SO_LINGER", fd); ok {
		s.noLinger = true
	}
}

// Close implements engine.Kernel.
func (k *Kernel) Close(fd int) {
	k.call("close")
	defer k.mu.Unlock()
	k.closeFD("close", fd)
}

// Socket implements engine.Kernel.
func (k *Kernel) Socket(family int) (int, error) {
	k.call("socket")
	defer k.mu.Unlock()
	errno := k.noFiles()
	fd := -1
	if errno == 0 {
		fd, errno = k.own(k.newSock(family == rawio.UNIX))
	}
	if errno != 0 {
		return -1, errno
	}
	return fd, nil
}

// LocalName implements engine.Kernel.
func (k *Kernel) LocalName(fd int) (rawio.Peer, string) {
	k.call("getsockname")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "getsockname", fd)
	if !ok {
		return rawio.Peer{}, ""
	}
	return s.name(s.local), ""
}

// PeerName implements engine.Kernel.
func (k *Kernel) PeerName(fd int) (rawio.Peer, string) {
	k.call("getpeername")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "getpeername", fd)
	if !ok || s.state != stateConnected {
		return rawio.Peer{}, ""
	}
	return s.name(s.remote), s.path
}

// SocketError implements engine.Kernel.
func (k *Kernel) SocketError(fd int) syscall.Errno {
	k.call("getsockopt SO_ERROR")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "getsockopt SO_ERROR", fd)
	if !ok {
		return syscall.EBADF
	}
	return s.takeError()
}

// option is a call that sets something that makes no difference here.
func (k *Kernel) option(name string, fd int) error {
	k.call(name)
	defer k.mu.Unlock()
	if k.lookup(name, fd) == nil {
		return syscall.EBADF
	}
	return nil
}

// NoDelay implements engine.Kernel.
func (k *Kernel) NoDelay(fd int) error { return k.option("setsockopt TCP_NODELAY", fd) }

// KeepAlive implements engine.Kernel.
func (k *Kernel) KeepAlive(fd int, _ time.Duration) error {
	return k.option("setsockopt SO_KEEPALIVE", fd)
}

// Uninherited implements engine.Kernel.
func (k *Kernel) Uninherited(fd int) int {
	k.call("getsockopt TCP_INFO")
	defer k.mu.Unlock()
	ln, ok := find[*listener](k, "getsockopt TCP_INFO", fd)
	if !ok {
		return 0
	}
	return len(ln.waiting)
}

// Untaken implements engine.Kernel.
func (k *Kernel) Untaken(fd int) int {
	k.call("ioctl SIOCOUTQ")
	defer k.mu.Unlock()
	s, ok := find[*sock](k, "ioctl SIOCOUTQ", fd)
	if !ok {
		return -1
	}
	return s.untaken()
}

// Ready implements engine.Kernel.
func (k *Kernel) Ready(fd int, want engine.Events) (got engine.Events) {
	k.call("poll")
	defer k.mu.Unlock()
	f := k.lookup("poll", fd)
	if f == nil {
		return want
	}
	m := f.object.poll()
	if m&(pollIn|pollAlways) != 0 {
		got |= want & engine.Read
	}
	if m&(pollOut|pollAlways) != 0 {
		got |= want & engine.Write
	}
	return got
}

// Pipe implements engine.Kernel. The pipe holds what it was asked for, or less.
func (k *Kernel) Pipe(size int) (r, w, holds int, err error) {
	k.call("pipe2")
	defer k.mu.Unlock()
	if errno := k.noFiles(); errno != 0 {
		return -1, -1, 0, errno
	}
	most := max(1, size/slotSize)
	switch k.rng.IntN(4) {
	case 0:
		most = 1 + k.rng.IntN(min(most, 4))
	case 1, 2: // what a user gets who has many pipes, or another page size
		most = min(most, 16+k.rng.IntN(4))
	}
	p := &pipe{k: k, most: most, readers: 1, writers: 1}
	r, errno := k.install(&pipeEnd{p, false})
	if errno != 0 {
		return -1, -1, 0, errno
	}
	if w, errno = k.install(&pipeEnd{p, true}); errno != 0 {
		k.closeFD("pipe2", r)
		return -1, -1, 0, errno
	}
	return r, w, most * slotSize, nil
}

// Splice implements engine.Kernel.
func (k *Kernel) Splice(from, to, n int) (moved int, errno syscall.Errno) {
	k.call("splice")
	defer k.mu.Unlock()
	if k.Trace != nil {
		defer func() { k.trace("  from %d to %d, at most %d: %d, %v", from, to, n, moved, errno) }()
	}
	f, t := k.lookup("splice", from), k.lookup("splice", to)
	if f == nil || t == nil {
		return 0, syscall.EBADF
	}
	if k.again() {
		return 0, syscall.EAGAIN
	}
	switch source := f.object.(type) {
	case *sock:
		if end, ok := t.object.(*pipeEnd); ok && end.writes {
			return end.fill(source, n)
		}
	case *pipeEnd:
		if s, ok := t.object.(*sock); ok && !source.writes {
			return source.drain(s, n)
		}
	}
	k.violated("splice: from a %T to a %T", f.object, t.object)
	return 0, syscall.EINVAL
}

// Dup implements engine.Kernel.
func (k *Kernel) Dup(fd int) (int, error) {
	k.call("dup")
	defer k.mu.Unlock()
	f := k.lookup("dup", fd)
	if f == nil {
		return -1, syscall.EBADF
	}
	errno := k.noFiles()
	if errno == 0 {
		if fd, errno = k.number(f); errno == 0 {
			f.refs++
			return fd, nil
		}
	}
	return -1, errno
}

// EpollCreate implements the ring kernel of package engine.
func (k *Kernel) EpollCreate() (int, error) {
	k.call("epoll_create1")
	defer k.mu.Unlock()
	errno := k.noFiles()
	if errno == 0 {
		var fd int
		if fd, errno = k.install(&epoll{k: k}); errno == 0 {
			return fd, nil
		}
	}
	return -1, errno
}

// callError is an error as package os has them.
func callError(call string, errno syscall.Errno) error { return os.NewSyscallError(call, errno) }
