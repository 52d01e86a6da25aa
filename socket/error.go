package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Error values to compare with errors.Is. Besides these: [io.EOF] (from Recv, bare) at the end of a stream,
// [os.ErrDeadlineExceeded] when a timeout ran out, [net.ErrClosed] after Close, [errors.ErrUnsupported] for what the
// platform lacks, and any errno of the system (syscall.ECONNRESET).
var (
	// ErrWouldBlock means that a non-blocking call would have to wait. Wait until the socket is ready and repeat the
	// call. It is EAGAIN, which is also EWOULDBLOCK.
	ErrWouldBlock error = syscall.EAGAIN

	// ErrInProgress means that a non-blocking Connect has begun. Wait until the socket is writable and call
	// SocketError. It is EINPROGRESS.
	ErrInProgress error = syscall.EINPROGRESS
)

// An Error is the error of every call of this package, except for a bare io.EOF from Recv. Its text starts with the
// call and the address: "connect 127.0.0.1:7: connection refused". It implements net.Error.
type Error struct {
	Op   string // the call, as in C: "connect"
	Addr string // the peer's address if there is one, else the socket's own; empty when neither is known
	Err  error  // the cause: as a rule a syscall.Errno
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Addr != "" {
		b.WriteString(" " + e.Addr)
	}
	b.WriteString(": " + e.Err.Error())
	if hint := e.Hint(); hint != "" {
		b.WriteString(" (" + hint + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the cause in another spelling. os.ErrDeadlineExceeded is also
// context.DeadlineExceeded, as in package net. EAGAIN is also EWOULDBLOCK. On Windows an errno is also the Winsock
// error that caused it (windows.WSAECONNRESET for syscall.ECONNRESET).
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && errors.Is(e.Err, os.ErrDeadlineExceeded) || e.isWinsock(target)
}

// Timeout reports whether the cause is a timeout: one of SetTimeout or a deadline (os.ErrDeadlineExceeded), or one of
// the system (ETIMEDOUT).
func (e *Error) Timeout() bool {
	return errors.Is(e.Err, os.ErrDeadlineExceeded) || errors.Is(e.Err, syscall.ETIMEDOUT)
}

// Temporary reports whether the same call may succeed later: the call would have blocked, or a timeout of SetTimeout
// or a deadline has passed.
func (e *Error) Temporary() bool {
	return errors.Is(e.Err, ErrWouldBlock) || errors.Is(e.Err, os.ErrDeadlineExceeded)
}

// Hint returns advice on how to fix the error, "" if there is none. Error includes it in parentheses.
func (e *Error) Hint() string {
	errno, ok := e.Err.(syscall.Errno)
	if !ok {
		return ""
	}
	if hint := groupHints[portable(errno)][e.Op]; hint != "" {
		return hint
	}
	a, _ := ParseAddr(e.Addr)
	switch portable(errno) {
	case syscall.EACCES:
		switch {
		case e.Op == "bind" && a.Family() != AF_UNIX && runtime.GOOS == "windows":
			return "another socket has this port to itself, or Windows has reserved it: choose another"
		case e.Op == "bind" && a.Port() > 0 && a.Port() < 1024:
			return "ports below 1024 need root" + lowPortCapability
		case e.Op == "bind" && a.Family() == AF_UNIX:
			return "the directory must be writable"
		case e.Op == "connect" && a.Family() == AF_UNIX:
			return "the socket file must be writable"
		case e.Op == "connect" || e.Op == "sendto":
			return "a broadcast address needs the SO_BROADCAST option"
		}
	case syscall.EADDRINUSE:
		return "another socket has this address: stop its program, or choose another"
	case syscall.EADDRNOTAVAIL:
		if e.Op == "bind" && a.AddrPort().Addr().IsMulticast() && runtime.GOOS == "windows" {
			return "Windows binds no socket to a group: bind it to every address, and join the group"
		}
		if e.Op == "bind" {
			return "no interface of this machine has this address"
		}
	case syscall.EMFILE:
		return "raise the limit of this process: ulimit -n"
	case syscall.ENFILE:
		return "the whole system has no descriptors left"
	case syscall.ENAMETOOLONG:
		return fmt.Sprintf("the path of a Unix socket has at most %d bytes", maxPath)
	case syscall.EMSGSIZE:
		return "a datagram must fit in one packet and in the send buffer"
	case syscall.EAGAIN:
		return "it would block: wait until the socket is ready"
	case syscall.EPIPE:
		return "the socket is not connected, or one side has shut it down"
	case syscall.ENOTCONN:
		return "connect the socket first"
	case syscall.EDESTADDRREQ:
		return "connect the socket first, or name a destination"
	case syscall.EINVAL:
		if ip := a.AddrPort().Addr(); ip.Is6() && ip.IsLinkLocalUnicast() && ip.Zone() == "" {
			return "a link-local address needs its interface: [" + ip.String() + "%eth0]"
		}
		switch e.Op {
		case "bind":
			return "is the socket bound already?"
		case "accept":
			return "call Listen first"
		case "send descriptors":
			return "a message carries a limited number of descriptors: 253 on Linux"
		}
	case syscall.ENOENT:
		if e.Op == "connect" {
			return "no server has made this socket file"
		}
	}
	return ""
}

// fail makes the error of a call on s; nil from nil.
func (s *Socket) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if err == syscall.EAGAIN {
		if e := wouldBlock[op]; e != nil {
			return e
		}
	}
	s.mu.Lock()
	name := s.name
	s.mu.Unlock()
	return failed(op, name.String(), err)
}

// failed makes every Error.
func failed(op, addr string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok && e.Op == op {
		return e
	}
	return &Error{Op: op, Addr: addr, Err: err}
}

// cause takes the call and the address off an error, for another to name them.
func cause(err error) error {
	if e, ok := err.(*Error); ok {
		return e.Err
	}
	return err
}

// A non-blocking program meets would-block once for every time it waits: these errors are made beforehand, and are
// the only ones without an address.
var wouldBlock = func() map[string]*Error {
	m := make(map[string]*Error)
	for _, op := range []string{"accept", "recv", "recvfrom", "recvmsg", "send", "sendto", "sendmsg", "recvmmsg", "sendmmsg"} {
		m[op] = &Error{Op: op, Err: syscall.EAGAIN}
	}
	return m
}()

// invalid is errno with words that say more than the system's.
func invalid(errno syscall.Errno, why string) error { return &reason{errno, why} }

type reason struct {
	errno syscall.Errno
	why   string
}

func (r *reason) Error() string { return r.why }
func (r *reason) Unwrap() error { return r.errno }

// errClosed is net.ErrClosed, and the EBADF that C and Python give.
var errClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string   { return "use of a closed socket" }
func (closedError) Unwrap() []error { return []error{net.ErrClosed, syscall.EBADF} }
