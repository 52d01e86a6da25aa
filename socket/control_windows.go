package socket

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// Control data as Winsock has it: WSACMSGHDR.

const (
	controlHead  = int(unsafe.Sizeof(windows.WSACMSGHDR{}))
	controlAlign = int(unsafe.Sizeof(uintptr(0)))
)

func alignControl(n int) int { return (n + controlAlign - 1) &^ (controlAlign - 1) }

func controlLen(n int) int { return alignControl(controlHead) + n }

func controlSpace(n int) int { return alignControl(controlHead) + alignControl(n) }

func encodeControl(list []Control) []byte {
	size := 0
	for _, c := range list {
		size += controlSpace(len(c.Data))
	}
	b := make([]byte, size)
	at := 0
	for _, c := range list {
		h := (*windows.WSACMSGHDR)(unsafe.Pointer(&b[at]))
		h.Len, h.Level, h.Type = uintptr(controlLen(len(c.Data))), int32(c.Level), int32(c.Type)
		copy(b[at+controlLen(0):], c.Data)
		at += controlSpace(len(c.Data))
	}
	return b
}

func decodeControl(b []byte) (list []Control) {
	for len(b) >= controlLen(0) {
		h := (*windows.WSACMSGHDR)(unsafe.Pointer(&b[0]))
		end := int(min(h.Len, uintptr(len(b))))
		if end < controlLen(0) {
			break
		}
		list = append(list, Control{Level: int(h.Level), Type: int(h.Type), Data: b[controlLen(0):end]})
		b = b[min(controlSpace(end-controlLen(0)), len(b)):]
	}
	return list
}

// encodeFDs makes control data that sysSendMsg refuses: Windows passes no handles over sockets.
func encodeFDs(fds []int) []byte {
	if len(fds) == 0 {
		return nil
	}
	return encodeControl([]Control{{Level: SOL_SOCKET, Type: SCM_RIGHTS, Data: make([]byte, 4*len(fds))}})
}

func decodeFDs(b []byte) []int { return nil }
