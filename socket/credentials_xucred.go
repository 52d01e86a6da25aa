//go:build darwin || dragonfly || freebsd

package socket

import (
	"encoding/binary"
	"runtime"

	"golang.org/x/sys/unix"
)

// Where the fields of xucred are: sys/ucred.h. FreeBSD has the process at its end.
const (
	xucredUID  = 4
	xucredGID  = 12
	xucredPID  = 80
	xucredSize = 84

	solLocal      = 0 // SOL_LOCAL
	localPeerCred = 1 // LOCAL_PEERCRED
	localPeerPID  = 2 // LOCAL_PEERPID of macOS
)

func sysPeerCredentials(fd int) (c Credentials, err error) {
	var b [xucredSize + 4]byte
	n, err := sysOptionBytes(fd, solLocal, localPeerCred, b[:])
	if err != nil {
		return c, err
	}
	if n < xucredGID+4 {
		return c, unix.ENOTCONN
	}
	c.UID = int(binary.NativeEndian.Uint32(b[xucredUID:]))
	c.GID = int(binary.NativeEndian.Uint32(b[xucredGID:]))
	switch {
	case runtime.GOOS == "darwin":
		c.PID, err = sysOption(fd, solLocal, localPeerPID)
	case runtime.GOOS == "freebsd" && n >= xucredSize:
		c.PID = int(binary.NativeEndian.Uint32(b[xucredPID:]))
	}
	return c, err
}
