package bench

import "golang.org/x/sys/unix"

// lateBind has the port chosen when the socket connects, so that two sockets may share one if they go to different
// servers (ip(7), IP_BIND_ADDRESS_NO_PORT).
func lateBind(fd int) { unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) }
