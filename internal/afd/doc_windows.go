// Package afd asks the Windows kernel when sockets are ready. A poll of the driver of sockets (AFD) names one socket and
// the events to wait for, and completes once, on an I/O completion port, where one thread takes the completions of any
// number of sockets.
//
// Winsock's own WSAPoll is made of the same polls. Windows documents neither them nor their numbers; they are those that
// libuv, mio and wepoll have relied on since Windows Vista.
package afd

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// The events of a poll. Receive, Send, Expedited, Disconnect, Abort, Accept and ConnectFail last: a poll that asks for one
// that is there completes at once.
const (
	Receive     = 0x1   // bytes can be received
	Expedited   = 0x2   // an urgent byte can be received
	Send        = 0x4   // bytes can be sent, or a connect has succeeded
	Disconnect  = 0x8   // the peer has ended its output
	Abort       = 0x10  // the peer has reset the connection
	LocalClose  = 0x20  // the last handle of the socket was closed here
	Accept      = 0x80  // a connection can be accepted
	ConnectFail = 0x100 // a connect has failed
)

const (
	controlPoll   = 0x00012024
	sioBaseHandle = 0x48000022

	statusPending   = 0x103
	statusCancelled = 0xC0000120
)

var (
	ntdll         = windows.NewLazySystemDLL("ntdll.dll")
	deviceControl = ntdll.NewProc("NtDeviceIoControlFile")
	cancelIO      = ntdll.NewProc("NtCancelIoFileEx")
	getCompleted  = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetQueuedCompletionStatusEx")
)

func init() {
	var data windows.WSAData
	windows.WSAStartup(0x202, &data) // counted by the system; without it every call says WSANOTINITIALISED
}

// failed tells NTSTATUS values that are errors, of which no completion comes, from successes and warnings.
func failed(status uint32) bool { return status>>30 == 3 }

// failure is the error of a system call by its NTSTATUS, with the number that Windows programs know where there is one.
func failure(status uint32) error {
	if errno := windows.NTStatus(status).Errno(); errno != syscall.Errno(windows.ERROR_MR_MID_NOT_FOUND) {
		return errno
	}
	return windows.NTStatus(status)
}
