package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
)

func TestByteOrder(t *testing.T) {
	if b := binary.NativeEndian.AppendUint16(nil, Htons(0x0102)); !bytes.Equal(b, []byte{1, 2}) {
		t.Error(b)
	}
	if b := binary.NativeEndian.AppendUint32(nil, Htonl(0x01020304)); !bytes.Equal(b, []byte{1, 2, 3, 4}) {
		t.Error(b)
	}
	if Ntohs(Htons(0xabcd)) != 0xabcd || Ntohl(Htonl(0xabcdef01)) != 0xabcdef01 {
		t.Error("there and back is not the same")
	}
}

func TestInetPtonAndNtop(t *testing.T) {
	for _, c := range []struct {
		family int
		text   string
		packed []byte
	}{
		{AF_INET, "127.0.0.1", []byte{127, 0, 0, 1}},
		{AF_INET6, "::1", append(make([]byte, 15), 1)},
		{AF_INET6, "::ffff:1.2.3.4", append(make([]byte, 10), 0xff, 0xff, 1, 2, 3, 4)},
	} {
		if p, err := InetPton(c.family, c.text); err != nil || !bytes.Equal(p, c.packed) {
			t.Error(c.text, p, err)
		}
		if s, err := InetNtop(c.family, c.packed); err != nil || s != c.text {
			t.Error(c.text, s, err)
		}
	}
	for _, c := range []struct {
		family int
		text   string
		errno  syscall.Errno
	}{
		{AF_INET, "1.2.3", syscall.EINVAL},
		{AF_INET, "::1", syscall.EINVAL},
		{AF_INET6, "1.2.3.4", syscall.EINVAL},
		{AF_INET6, "fe80::1%lo", syscall.EINVAL},
		{AF_UNIX, "1.2.3.4", syscall.EAFNOSUPPORT},
	} {
		if p, err := InetPton(c.family, c.text); !errors.Is(err, c.errno) {
			t.Error(c.text, p, err)
		}
	}
	for _, family := range []int{AF_INET, AF_INET6} {
		if s, err := InetNtop(family, make([]byte, 5)); !errors.Is(err, syscall.EINVAL) {
			t.Error(s, err)
		}
	}
	if s, err := InetNtop(AF_UNIX, make([]byte, 4)); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Error(s, err)
	}
}
