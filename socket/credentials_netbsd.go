package socket

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// sysPeerCredentials reads unpcbid, three numbers: unix(4).
func sysPeerCredentials(fd int) (c Credentials, err error) {
	const localPeerEID = 3 // LOCAL_PEEREID
	var b [12]byte
	n, err := sysOptionBytes(fd, 0, localPeerEID, b[:])
	if err == nil && n < len(b) {
		err = unix.ENOTCONN
	}
	if err != nil {
		return c, err
	}
	number := func(i int) int { return int(binary.NativeEndian.Uint32(b[4*i:])) }
	return Credentials{number(0), number(1), number(2)}, nil
}
