//go:build unix

package socket

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Control data as the kernel has it: cmsg(3).

func controlLen(n int) int { return unix.CmsgLen(n) }

func controlSpace(n int) int { return unix.CmsgSpace(n) }

func encodeControl(list []Control) []byte {
	size := 0
	for _, c := range list {
		size += controlSpace(len(c.Data))
	}
	b := make([]byte, size)
	at := 0
	for _, c := range list {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[at]))
		h.Level, h.Type = int32(c.Level), int32(c.Type)
		h.SetLen(controlLen(len(c.Data)))
		copy(b[at+controlLen(0):], c.Data)
		at += controlSpace(len(c.Data))
	}
	return b
}

// decodeControl also reads what was cut off at its end, because there may be descriptors in it.
func decodeControl(b []byte) (list []Control) {
	for len(b) >= controlLen(0) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		end := min(int(h.Len), len(b))
		if end < controlLen(0) {
			break
		}
		list = append(list, Control{Level: int(h.Level), Type: int(h.Type), Data: b[controlLen(0):end]})
		b = b[min(controlSpace(end-controlLen(0)), len(b)):]
	}
	return list
}

func encodeFDs(fds []int) []byte {
	if len(fds) == 0 {
		return nil
	}
	return unix.UnixRights(fds...)
}

func decodeFDs(b []byte) (fds []int) {
	for _, c := range decodeControl(b) {
		if c.Level != SOL_SOCKET || c.Type != SCM_RIGHTS {
			continue
		}
		for p := c.Data; len(p) >= 4; p = p[4:] {
			fds = append(fds, int(binary.NativeEndian.Uint32(p)))
		}
	}
	return fds
}
