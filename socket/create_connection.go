package socket

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// ConnectOptions configure CreateConnection. nil means the zero value.
type ConnectOptions struct {
	// Timeout limits the lookup and all attempts to connect together. 0 means no limit but that of the context. It
	// does not become the timeout of the socket.
	Timeout time.Duration

	// Source is the address to connect from. Port 0 lets the system choose the port. Destinations of other families
	// are not tried. The zero Addr lets the system choose address and port.
	Source Addr

	// AttemptDelay is the time between two attempts, if the first of them has neither succeeded nor failed. 0 means
	// 250 ms.
	AttemptDelay time.Duration

	// Resolver looks up names. nil means net.DefaultResolver.
	Resolver *net.Resolver
}

// CreateConnection connects a stream socket to an address: host:port, or a Unix socket as ParseAddr reads it. An
// empty host is this machine. The socket that it returns is in blocking mode.
//
// A host name may have several addresses. CreateConnection tries them as RFC 8305 (Happy Eyeballs) describes: IPv6
// and IPv4 alternate, each attempt begins ConnectOptions.AttemptDelay after the one before or as soon as that one has
// failed, and the first connection wins. If all attempts fail, the error lists every address with its reason, and
// errors.Is finds each of them. If the context or the timeout ends first, the error is os.ErrDeadlineExceeded or
// context.Canceled.
func CreateConnection(ctx context.Context, address string, options *ConnectOptions) (*Socket, error) {
	o := ConnectOptions{}
	if options != nil {
		o = *options
	}
	if o.AttemptDelay <= 0 {
		o.AttemptDelay = 250 * time.Millisecond
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	a, host, service, err := splitAddress(address)
	if err != nil {
		return nil, failed("connect", address, err)
	}
	if a.IsValid() {
		s, err := o.attempt(ctx, a)
		return s, failed("connect", a.String(), err)
	}
	if o.Source.Family() == AF_UNIX {
		return nil, failed("connect", address, o.otherFamily())
	}
	port, err := new(AddrInfo).lookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, failed("connect", address, err)
	}
	s, err := o.race(ctx, host, port)
	return s, failed("connect", address, err)
}

// selfConnectTries is how often attempt gets a new port of its own when that was the server's. The system chooses
// another each time, unless it has no other.
const selfConnectTries = 3

// attempt connects with one address. The error is the bare cause.
//
// Where nobody listens on a port of the range that the system chooses own ports from, it may choose just that port, and
// TCP connects the socket with itself (a simultaneous open, RFC 9293, section 3.5). That is a refused connection: its
// owner would hear its own words, and keep the port from the server that it waits for.
func (o *ConnectOptions) attempt(ctx context.Context, a Addr) (*Socket, error) {
	for range selfConnectTries {
		s, err := o.attemptOnce(ctx, a)
		if err != nil || !s.isItsOwnPeer() {
			return s, err
		}
		s.SetLinger(0) // a reset: TIME_WAIT would keep the port as well
		s.Close()
	}
	return nil, invalid(syscall.ECONNREFUSED, "connection refused: nobody listens, and the socket was its own peer")
}

// isItsOwnPeer reports whether the socket was connected with itself.
func (s *Socket) isItsOwnPeer() bool {
	if s.family == AF_UNIX {
		return false
	}
	own, err := s.LocalAddr()
	if err != nil {
		return false
	}
	peer, err := s.PeerAddr()
	return err == nil && own == peer
}

func (o *ConnectOptions) attemptOnce(ctx context.Context, a Addr) (*Socket, error) {
	if o.Source.IsValid() && o.Source.Family() != a.Family() {
		return nil, o.otherFamily()
	}
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	s, err := New(a.Family(), SOCK_STREAM, 0)
	if err != nil {
		return nil, cause(err)
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	if o.Source.IsValid() {
		err = s.Bind(o.Source)
	}
	if err == nil {
		err = cause(s.Connect(a))
	}
	if !stop() {
		// The context has closed the socket, or is about to.
		if err == nil || err == errClosed {
			err = ended(ctx)
		}
		return nil, err
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (o *ConnectOptions) otherFamily() error {
	return invalid(syscall.EAFNOSUPPORT, "the source "+o.Source.String()+" is of another family")
}

// ended is the cause of an error after the context has ended.
func ended(ctx context.Context) error {
	if ctx.Err() == context.DeadlineExceeded {
		return os.ErrDeadlineExceeded
	}
	return ctx.Err()
}

// lookup finds the host's addresses of one family: "ip6" or "ip4".
func (o *ConnectOptions) lookup(ctx context.Context, network, host string, port uint16) ([]Addr, error) {
	ips := []netip.Addr{netip.IPv6Loopback()}
	if network == "ip4" {
		ips[0] = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if v4, ok := parseAton(host); ok {
		if network == "ip6" {
			return nil, &net.AddrError{Err: "an IPv4 address", Addr: host}
		}
		ips[0] = v4
	} else if host != "" {
		var err error
		if ips, err = o.Resolver.LookupNetIP(ctx, network, host); err != nil {
			return nil, err
		}
	}
	var list []Addr
	for _, ip := range ips {
		if network == "ip4" {
			ip = ip.Unmap()
		}
		list = append(list, InetAddr(netip.AddrPortFrom(ip, port)))
	}
	return list, nil
}

// failures are the errors of the addresses that were tried, in the order in which they failed.
type failures []error

func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = strings.TrimPrefix(err.Error(), "connect ")
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }
