package rawio

import (
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

// Recv reads into p (recv). Zero bytes without an errno is the end of input.
func Recv(fd int, p []byte) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0 // Winsock would look for the end of input all the same
	}
	return winsock.Recv(fd, p, 0)
}

// Send writes p, of which it takes 64 KiB at most (send; see winsock.MaxSend).
func Send(fd int, p []byte) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	return winsock.Send(fd, p[:min(len(p), winsock.MaxSend)], 0)
}

// Sendv writes the slices one after another in one call (WSASend), of which it takes 64 KiB at most.
func Sendv(fd int, bufs [][]byte) (int, syscall.Errno) {
	return winsock.SendBuffers(fd, bufs, winsock.MaxSend, 0, nil)
}

// Accept takes a connection from a listening socket (accept), non-blocking and not inheritable.
func Accept(fd int) (int, Peer, syscall.Errno) {
	var from winsock.Sockaddr
	conn, errno := winsock.Accept(fd, &from)
	if errno != 0 {
		return -1, Peer{}, errno
	}
	return conn, peer(&from), 0
}

func peer(sa *winsock.Sockaddr) Peer {
	ap, scope := sa.Inet()
	if !ap.IsValid() {
		return Peer{}
	}
	return PeerOf(ap, scope)
}

// Untaken is not known here: Winsock tells only what is in flight, not what waits behind it. The peer is seen to take
// what one Send sent, 64 KiB at most.
func Untaken(fd int) int { return -1 }

// KeepAlive has the system ask a peer that was silent for so long whether it lives (SO_KEEPALIVE, TCP_KEEPIDLE).
func KeepAlive(fd int, after time.Duration) error { return errorOf(winsock.KeepAlive(fd, after)) }

// Socket makes a non-blocking stream socket that no child process inherits.
func Socket(family int) (int, error) {
	fd, errno := winsock.Socket(family, windows.SOCK_STREAM, 0)
	return fd, errorOf(errno)
}

// Dup returns another handle of the same socket (WSADuplicateSocket).
func Dup(fd int) (int, error) {
	dup, errno := winsock.Dup(fd)
	return dup, errorOf(errno)
}

// Close gives the handle back. A close of a socket with no linger time never waits.
func Close(fd int) { winsock.Close(fd) }

// Uninherited returns how many of the connections that a TCP listener gives next are not sure to have its options: all.
func Uninherited(fd int) int { return math.MaxInt }

func errorOf(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
