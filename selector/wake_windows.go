package selector

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A wakeFile becomes readable when another goroutine rings it: a datagram socket that is connected to itself, over loopback.
// No other socket can send to it.
type wakeFile struct{ fd int }

var (
	procIoctl = ws2.NewProc("ioctlsocket")
	procRecv  = ws2.NewProc("recv")
	procSend  = ws2.NewProc("send")
)

func openWakeFile() (wakeFile, error) {
	s, err := windows.WSASocket(windows.AF_INET, windows.SOCK_DGRAM, 0, nil, 0,
		windows.WSA_FLAG_OVERLAPPED|windows.WSA_FLAG_NO_HANDLE_INHERIT)
	if err != nil {
		return wakeFile{}, os.NewSyscallError("WSASocket", err)
	}
	if err := connectToItself(s); err != nil {
		windows.Closesocket(s)
		return wakeFile{}, err
	}
	return wakeFile{int(s)}, nil
}

func connectToItself(s windows.Handle) error {
	if err := windows.Bind(s, &windows.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	own, err := windows.Getsockname(s)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	if err := windows.Connect(s, own); err != nil {
		return os.NewSyscallError("connect", err)
	}
	const fionbio = 0x8004667e
	on := uint32(1)
	if r, _, err := syscall.SyscallN(procIoctl.Addr(), uintptr(s), fionbio, uintptr(unsafe.Pointer(&on))); int32(r) != 0 {
		return os.NewSyscallError("ioctlsocket", err)
	}
	return nil
}

// readFD is the descriptor to wait for.
func (w wakeFile) readFD() int { return w.fd }

func (w wakeFile) ring() error {
	one := [1]byte{1}
	r, _, err := syscall.SyscallN(procSend.Addr(), uintptr(w.fd), uintptr(unsafe.Pointer(&one)), 1, 0)
	if int32(r) < 0 && err != windows.WSAEWOULDBLOCK { // a full one is readable
		return os.NewSyscallError("send", err)
	}
	return nil
}

// drain makes it unreadable again.
func (w wakeFile) drain() {
	var b [1]byte
	for {
		r, _, _ := syscall.SyscallN(procRecv.Addr(), uintptr(w.fd), uintptr(unsafe.Pointer(&b)), 1, 0)
		if int32(r) < 0 {
			return
		}
	}
}

func (w wakeFile) close() error { return windows.Closesocket(windows.Handle(w.fd)) }
