package socket

// Credentials are the process, user and group of a peer.
type Credentials struct {
	PID int // 0 where the system does not tell: DragonFly
	UID int
	GID int
}

// PeerCredentials returns the credentials that the process at the other end of a Unix stream had when it called
// connect, listen or socketpair: SO_PEERCRED of unix(7) on Linux, LOCAL_PEERCRED on macOS, FreeBSD and DragonFly,
// LOCAL_PEEREID on NetBSD. The peer cannot forge them. OpenBSD and Windows do not have it.
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

// SetPassCredentials lets the Unix socket receive the credentials of the sender with each message: SO_PASSCRED of
// unix(7). Message.Credentials returns them. RecvMsg needs room for them: ControlSpace(12). Only Linux has it.
func (s *Socket) SetPassCredentials(on bool) error {
	return s.setOption("set pass-credentials", SOL_SOCKET, optPassCredentials, number(on))
}

// Credentials returns the credentials of the sender: SCM_CREDENTIALS of unix(7). ok is false if the message has none.
// See Socket.SetPassCredentials. Only Linux has it.
func (m Message) Credentials() (c Credentials, ok bool) {
	for _, control := range m.Control {
		if c, ok = credentialsOf(control); ok {
			return c, true
		}
	}
	return Credentials{}, false
}
