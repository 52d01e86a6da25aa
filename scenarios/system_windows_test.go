package scenarios

import "golang.org/x/sys/windows"

func smallReceiveBuffer(fd uintptr) {
	windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_RCVBUF, 4096)
}
