package zmtp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A dialer keeps one connection to an endpoint: when it fails it is tried again, after a while that grows.
type dialer struct {
	s         *Socket
	endpoint  string
	transport string
	address   string
	ctx       context.Context
	stop      context.CancelFunc

	mu      sync.Mutex
	p       *peer
	conn    *switchboard.Conn
	timer   *time.Timer
	wait    time.Duration // before the next attempt
	stopped bool
}

// Connect connects the socket to an endpoint of Bind, and keeps it connected: a connection that fails or ends is made
// again until Disconnect or Close. It does not wait for the connection. The peer need not be bound yet.
func (s *Socket) Connect(endpoint string) error {
	d := &dialer{s: s, endpoint: endpoint}
	var err error
	d.transport, d.address, err = split(endpoint)
	if err == nil && d.transport == "tcp" {
		if host, port, bad := net.SplitHostPort(d.address); bad != nil {
			err = fmt.Errorf("%w (try tcp://127.0.0.1:5555)", bad)
		} else if host == "*" || host == "" {
			err = fmt.Errorf("a peer's host is needed: tcp://127.0.0.1:%s", port)
		} else if _, bad := net.LookupPort("tcp", port); bad != nil || port == "0" {
			err = fmt.Errorf("%q is no port (1 to 65535)", port)
		}
	} else if err == nil && d.transport == "ipc" && d.address[0] != '@' && !strings.Contains(d.address, "/") {
		d.address = "./" + d.address
	}
	if err == nil {
		d.ctx, d.stop = context.WithCancel(context.Background())
		s.mu.Lock()
		if s.closing {
			err = ErrClosed
		} else {
			s.dialers[endpoint] = append(s.dialers[endpoint], d)
		}
		s.mu.Unlock()
	}
	if err != nil {
		return &Error{Op: "connect", Type: s.typ, Endpoint: endpoint, Err: err}
	}
	d.wait = s.opt.ReconnectMin
	d.dial()
	s.mu.Lock()
	s.senders.wake(len(s.senders.list)) // there is somebody to queue messages for
	s.mu.Unlock()
	return nil
}

// begin makes p the dialer's peer, and counts it.
func (d *dialer) begin(p *peer) error {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped || d.s.closing && len(d.s.dialers) == 0 {
		return ErrClosed
	}
	d.p = p
	d.s.begin(p)
	return nil
}

// dial tries once.
func (d *dialer) dial() {
	if d.transport == "inproc" {
		d.s.ctx.dialName(d)
		return
	}
	c := d.s.ctx
	c.mu.Lock()
	server := c.start()
	c.mu.Unlock()
	p := &peer{s: d.s, dialer: d}
	if d.begin(p) != nil {
		return
	}
	conn, err := server.Dial(d.ctx, d.address, p)
	if err != nil {
		d.s.leave(p)
		d.ended(p, stateNew, err)
		return
	}
	d.mu.Lock()
	if d.p == p {
		d.conn = conn
	}
	d.mu.Unlock()
}

// succeeded is called when the handshake is done.
func (d *dialer) succeeded() {
	d.mu.Lock()
	d.wait = d.s.opt.ReconnectMin
	d.mu.Unlock()
}

// ended is called when the connection has failed or ended, and tries again later.
func (d *dialer) ended(p *peer, was peerState, err error) {
	d.mu.Lock()
	if d.p == p {
		d.p, d.conn = nil, nil
	}
	if d.stopped || errors.Is(err, switchboard.ErrServerClosed) {
		d.mu.Unlock()
		return
	}
	if d.transport == "inproc" && was == stateReady {
		d.mu.Unlock()
		d.s.ctx.dialName(d)
		return
	}
	after := d.wait/2 + time.Duration(rand.Int64N(int64(d.wait/2)+1))
	d.wait = min(2*d.wait, d.s.opt.ReconnectMax)
	d.timer = time.AfterFunc(after, d.dial)
	d.mu.Unlock()
	d.s.mu.Lock()
	d.s.stats.Retries++
	d.s.mu.Unlock()
	kind := Retrying
	if was == stateNew {
		kind = ConnectFailed
	}
	d.s.tell(Event{Kind: kind, Endpoint: d.endpoint, RetryIn: after, Err: err})
}

// close ends the dialer. Its connection ends once what is queued for it is written.
func (d *dialer) close() {
	d.mu.Lock()
	d.stopped = true
	p, conn, timer := d.p, d.conn, d.timer
	d.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	if d.transport == "inproc" {
		d.s.ctx.forgetDial(d)
	}
	if p == nil {
		d.stop()
		return
	}
	s := d.s
	s.mu.Lock()
	ready := p.state.get() == stateReady
	s.mu.Unlock()
	if ready {
		p.finish()
	} else if conn != nil {
		conn.Abort()
	}
	d.stop() // ends a connection that is not there yet
}

// finish ends a peer once what is queued for it is written. Any goroutine may call it.
func (p *peer) finish() {
	s := p.s
	s.mu.Lock()
	p.ending = true
	empty := p.out.n == 0 && p.cur == nil
	s.mu.Unlock()
	switch {
	case p.c == nil && empty:
		p.endInproc(nil)
	case empty:
		p.c.Close()
	default:
		p.write()
	}
}

// Disconnect ends one Connect to an endpoint, after the messages queued for it are sent.
func (s *Socket) Disconnect(endpoint string) error {
	s.mu.Lock()
	list := s.dialers[endpoint]
	var d *dialer
	if len(list) > 0 {
		d = list[len(list)-1]
		if list = list[:len(list)-1]; len(list) == 0 {
			delete(s.dialers, endpoint)
		} else {
			s.dialers[endpoint] = list
		}
	}
	s.mu.Unlock()
	if d == nil {
		return &Error{Op: "disconnect", Type: s.typ, Endpoint: endpoint, Err: errors.New("the socket is not connected to it")}
	}
	d.close()
	return nil
}
