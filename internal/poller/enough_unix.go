//go:build unix

package poller

import "syscall"

// enough makes sure that there are descriptors for a poller: an epoll and an eventfd, or a kqueue and a pipe.
func enough() error {
	syscall.ForkLock.RLock() // these shall be inherited by nobody
	defer syscall.ForkLock.RUnlock()
	for range 2 {
		var p [2]int
		if err := syscall.Pipe(p[:]); err != nil {
			return err
		}
		defer syscall.Close(p[0])
		defer syscall.Close(p[1])
	}
	return nil
}
