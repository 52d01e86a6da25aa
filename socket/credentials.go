package socket

// Credentials say whose a process is.
type Credentials struct {
	PID int // 0 where the system does not tell: DragonFly
	UID int
	GID int
}

// PeerCredentials returns whose the process at the other end of a Unix stream was when it called connect, listen or
// socketpair: SO_PEERCRED of unix(7) on Linux, LOCAL_PEERCRED on macOS, FreeBSD and DragonFly, LOCAL_PEEREID on NetBSD.
// The peer cannot make them up.
func (s *Socket) PeerCredentials() (c Credentials, err error) {
	const op = "get peer credentials"
	if s.family != AF_UNIX {
		return c, s.fail(op, unsupported())
	}
	err = s.use(func(fd int) (err error) {
		c, err = sysPeerCredentials(fd)
		return err
	})
	return c, s.fail(op, err)
}

// SetPassCredentials has each message that the Unix socket receives bring the credentials of its sender, which
// Message.Credentials reads: SO_PASSCRED of unix(7); Linux. RecvMsg needs room for them: ControlSpace(12).
func (s *Socket) SetPassCredentials(on bool) error {
	return s.setOption("set pass-credentials", SOL_SOCKET, optPassCredentials, number(on))
}

// Credentials returns whose the sender of the message was, if it says so: SCM_CREDENTIALS of unix(7); Linux.
func (m Message) Credentials() (c Credentials, ok bool) {
	for _, control := range m.Control {
		if c, ok = credentialsOf(control); ok {
			return c, true
		}
	}
	return Credentials{}, false
}
