package socket

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// resolutionDelay is how long IPv4 addresses wait for the IPv6 ones, which are preferred (RFC 8305, section 3).
const resolutionDelay = 50 * time.Millisecond

// A race connects with the first of a host's addresses that answers (RFC 8305).
type race struct {
	options *ConnectOptions
	host    string
	port    uint16
	answers chan answer
	results chan result

	asking  int       // lookups that have not answered
	running int       // attempts that have not ended
	begun   bool      // whether an attempt was made
	waiting [2][]Addr // addresses to try, IPv6 and IPv4
	turn    int       // whose turn it is
	ready   bool      // whether the next may be tried now

	lookupErrs failures
	errs       failures
}

type answer struct {
	family int // an index of waiting
	addrs  []Addr
	err    error
}

type result struct {
	addr Addr
	sock *Socket
	err  error
}

func (o *ConnectOptions) race(ctx context.Context, host string, port uint16) (*Socket, error) {
	r := race{
		options: o, host: host, port: port,
		answers: make(chan answer, 2), results: make(chan result),
	}
	ctx, cancel := context.WithCancel(ctx)
	s, err := r.run(ctx)
	cancel()
	// The losers end at once now, and one may have won after all.
	for ; r.running > 0; r.running-- {
		if late := <-r.results; late.sock != nil {
			late.sock.Close()
		}
	}
	return s, err
}

func (r *race) run(ctx context.Context) (*Socket, error) {
	for family, network := range [...]string{"ip6", "ip4"} {
		if src := r.options.Source.Family(); src == AF_UNSPEC || src == AF_INET6 == (network == "ip6") {
			r.asking++
			go r.ask(ctx, family, network)
		}
	}
	timer := time.NewTimer(0)
	<-timer.C
	for {
		if r.ready && len(r.waiting[0])+len(r.waiting[1]) > 0 {
			r.attempt(ctx)
			timer.Reset(r.options.AttemptDelay)
		}
		if r.asking+r.running == 0 && len(r.waiting[0])+len(r.waiting[1]) == 0 {
			return nil, r.failure()
		}
		select {
		case a := <-r.answers:
			r.take(a, timer)
		case <-timer.C:
			r.ready = true
		case done := <-r.results:
			r.running--
			if done.err == nil {
				return done.sock, nil
			}
			r.errs = append(r.errs, failed("connect", done.addr.String(), done.err))
			r.ready = true
		case <-ctx.Done():
			return nil, r.abandon(ctx)
		}
	}
}

func (r *race) ask(ctx context.Context, family int, network string) {
	addrs, err := r.options.lookup(ctx, network, r.host, r.port)
	r.answers <- answer{family, addrs, err}
}

func (r *race) take(a answer, timer *time.Timer) {
	r.asking--
	r.waiting[a.family] = append(r.waiting[a.family], a.addrs...)
	if a.err != nil {
		r.lookupErrs = append(r.lookupErrs, a.err)
	}
	switch {
	case r.begun:
	case a.family == 1 && a.err == nil && r.asking > 0:
		timer.Reset(resolutionDelay)
	default:
		r.ready = true
	}
}

// attempt tries the next address: the families take turns.
func (r *race) attempt(ctx context.Context) {
	if len(r.waiting[r.turn]) == 0 {
		r.turn = 1 - r.turn
	}
	a := r.waiting[r.turn][0]
	r.waiting[r.turn] = r.waiting[r.turn][1:]
	r.turn = 1 - r.turn
	r.begun, r.ready = true, false
	r.running++
	go func() {
		s, err := r.options.attempt(ctx, a)
		r.results <- result{a, s, err}
	}()
}

// abandon is the error after the context has ended: every attempt so far, the unfinished ones included.
func (r *race) abandon(ctx context.Context) error {
	for ; r.running > 0; r.running-- {
		done := <-r.results
		if done.sock != nil {
			done.sock.Close()
			done.err = ended(ctx)
		}
		r.errs = append(r.errs, failed("connect", done.addr.String(), done.err))
	}
	if r.errs == nil {
		return ended(ctx)
	}
	return r.errs
}

func (r *race) failure() error {
	for _, err := range r.lookupErrs {
		if r.errs == nil || !lacksFamily(err) {
			r.errs = append(r.errs, err)
		}
	}
	switch {
	case r.begun:
		return r.errs
	case len(r.errs) == 0:
		return invalid(syscall.EADDRNOTAVAIL, "no address to connect with")
	}
	return r.errs[len(r.errs)-1]
}

// lacksFamily reports whether an error of a lookup says no more than that the host has no address of the family: it need
// not have both. It is an AddrError when the name is in the hosts file.
func lacksFamily(err error) bool {
	var notFound *net.DNSError
	var unfit *net.AddrError
	return errors.As(err, &notFound) && notFound.IsNotFound || errors.As(err, &unfit)
}
