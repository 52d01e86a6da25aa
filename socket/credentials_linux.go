package socket

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const optPassCredentials = unix.SO_PASSCRED

func sysPeerCredentials(fd int) (Credentials, error) {
	u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Credentials{}, err
	}
	if u.Pid == 0 && int32(u.Uid) == -1 {
		return Credentials{}, unix.ENOTCONN // what Linux says of a socket that has no peer
	}
	return Credentials{int(u.Pid), int(u.Uid), int(u.Gid)}, nil
}

// Control returns the credentials as control data for SendMsg: SCM_CREDENTIALS of unix(7). The kernel accepts only
// the sender's own credentials, except from root. Only Linux has it.
func (c Credentials) Control() Control {
	var b []byte
	for _, n := range []int{c.PID, c.UID, c.GID} {
		b = binary.NativeEndian.AppendUint32(b, uint32(n))
	}
	return Control{Level: SOL_SOCKET, Type: SCM_CREDENTIALS, Data: b}
}

func credentialsOf(c Control) (Credentials, bool) {
	if c.Level != SOL_SOCKET || c.Type != SCM_CREDENTIALS || len(c.Data) < unix.SizeofUcred {
		return Credentials{}, false
	}
	number := func(i int) int { return int(int32(binary.NativeEndian.Uint32(c.Data[4*i:]))) }
	return Credentials{number(0), number(1), number(2)}, true
}
