package socket

type boundFile struct{}

// remove does nothing yet known to be needed.
func (*boundFile) remove() {}

func listenUnix(a Addr, options *ServerOptions) (*Socket, error) {
	s, err := New(AF_UNIX, SOCK_STREAM, 0)
	if err == nil {
		err = s.Bind(a)
	}
	if err == nil {
		err = s.Listen(options.backlog())
	}
	return s, err
}
