//go:build unix

package scenarios

import "golang.org/x/sys/unix"

func smallReceiveBuffer(fd uintptr) {
	unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
}
