//go:build windows

package socket

// More numbers of winsock2.h.
const (
	SO_RCVTIMEO = 0x1006 // see Socket.SetTimeout
	SO_SNDTIMEO = 0x1005 // see Socket.SetTimeout
)
