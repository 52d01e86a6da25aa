package engine

import "syscall"

// hungUp tells the owner why a line that waited for nothing but a hang-up was reported.
func hungUp(o Owner, k Kernel, l *Line) {
	errno := k.SocketError(int(l.FD))
	if errno == 0 { // somebody has read it already
		errno = syscall.ECONNRESET
	}
	o.Failed(l, "read", errno)
}
