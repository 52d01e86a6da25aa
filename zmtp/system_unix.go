//go:build unix

package zmtp

import "syscall"

// stopListening has a listening socket accept no more, whoever else has a descriptor of it. Where the system does not do
// that for sockets that listen, the server notices in a second that they were closed.
func stopListening(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }
