// Package winsock is the calls of Winsock on non-blocking sockets, for packages rawio and socket: nothing here waits or
// keeps what it was given. Errors are portable numbers, as [Errno] makes them.
//
// A descriptor is the socket's handle. Sockets are made non-blocking and not inheritable.
package winsock

import "golang.org/x/sys/windows"

var (
	ws2 = windows.NewLazySystemDLL("ws2_32.dll")

	procRecv      = ws2.NewProc("recv")
	procRecvFrom  = ws2.NewProc("recvfrom")
	procSend      = ws2.NewProc("send")
	procSendTo    = ws2.NewProc("sendto")
	procWSASend   = ws2.NewProc("WSASend")
	procWSARecv   = ws2.NewProc("WSARecv")
	procWSASendTo = ws2.NewProc("WSASendTo")
	procAccept    = ws2.NewProc("accept")
	procConnect   = ws2.NewProc("connect")
	procBind      = ws2.NewProc("bind")
	procGetName   = ws2.NewProc("getsockname")
	procGetPeer   = ws2.NewProc("getpeername")
	procGetOption = ws2.NewProc("getsockopt")
	procSetOption = ws2.NewProc("setsockopt")
	procIoctl     = ws2.NewProc("ioctlsocket")
	procPoll      = ws2.NewProc("WSAPoll")
)

func init() {
	var d windows.WSAData
	windows.WSAStartup(0x202, &d) // counted by the system; without it every call says WSANOTINITIALISED
}
