package zmtp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// lingerTimeout is how long an ended connection waits for its peer to end it too.
const lingerTimeout = 2 * time.Second

func loopsOr(n int) int { return cmp.Or(n, runtime.GOMAXPROCS(0)) }

// Close ends the socket. The socket accepts and receives no more messages, sends those that are queued, for at most
// Options.Linger, and closes its connections. Close returns after that; calls that wait return ErrClosed. The error
// wraps ErrUnsent if messages were discarded. A second Close returns ErrClosed. A Handler must not call it.
func (s *Socket) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), max(s.opt.Linger, 0))
	defer cancel()
	return s.shutdown(ctx)
}

// Shutdown is Close that waits for unsent messages until ctx ends, instead of Options.Linger.
func (s *Socket) Shutdown(ctx context.Context) error { return s.shutdown(ctx) }

func (s *Socket) shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return s.error("close", ErrClosed)
	}
	s.closing = true
	s.senders.wake(len(s.senders.list))
	s.receivers.wake(len(s.receivers.list))
	bound, names := s.bound, s.names
	s.bound, s.names = map[string]*listener{}, nil
	s.mu.Unlock()
	for _, ln := range bound {
		ln.close()
	}
	for name := range names {
		s.ctx.unbindName(s, name)
	}
	s.sendAll(ctx)
	s.mu.Lock()
	bytes := s.queuedBytes()
	s.mu.Unlock()
	left := s.endAll()
	s.ctx.mu.Lock()
	delete(s.ctx.sockets, s)
	s.ctx.mu.Unlock()
	if left > 0 {
		return s.error("close", fmt.Errorf("%d %w", left, ErrUnsent))
	}
	if bytes > 0 {
		return s.error("close", fmt.Errorf("%w: connections held %d bytes of them", ErrUnsent, bytes))
	}
	return nil
}

// sendAll waits until everything queued is with the connections, or nobody is there to send it to, or ctx ends.
func (s *Socket) sendAll(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var never deadline
	for s.unsentNow() > 0 && (len(s.peers) > 0 || len(s.dialers) > 0) {
		for _, p := range s.peers {
			if p.out.n > 0 {
				s.schedule(p)
			}
		}
		if s.wait(ctx, &s.closers, &never) != nil {
			return
		}
	}
	// Nobody tells when a connection has sent what it was given.
	for s.queuedBytes() > 0 && ctx.Err() == nil {
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		s.mu.Lock()
	}
}

// queuedBytes returns how many bytes the connections have not sent. s.mu is held.
func (s *Socket) queuedBytes() (n int) {
	for _, p := range s.peers {
		if p.c != nil {
			n += p.c.Queued()
		}
	}
	return n
}

// unsentNow returns how many messages are queued and not written. s.mu is held.
func (s *Socket) unsentNow() int {
	n := int(s.backlog.n)
	for _, p := range s.peers {
		n += int(p.out.n)
		if p.cur != nil {
			n += int(p.cur.n)
		}
	}
	return n
}

// endAll ends the dialers and the peers, waits until they are gone, and returns how many messages were not sent.
func (s *Socket) endAll() int {
	s.mu.Lock()
	s.ended = true
	left := s.unsentNow()
	lost := s.stats.Lost
	dialers := s.dialers
	s.dialers = map[string][]*dialer{}
	peers := append([]*peer(nil), s.peers...)
	for _, p := range s.handshaking {
		if p.accepted && p.c != nil {
			p.c.Abort()
		}
	}
	s.mu.Unlock()
	for _, list := range dialers {
		for _, d := range list {
			d.close()
		}
	}
	for _, p := range peers {
		s.mu.Lock()
		unsent := p.out.n > 0 || p.cur != nil || p.c != nil && p.c.Queued() > 0
		s.mu.Unlock()
		switch {
		case p.c == nil:
			p.endInproc(nil)
		case unsent:
			p.c.Abort()
		default:
			p.c.Close()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lingerTimeout+time.Second)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	var never deadline
	for s.open > 0 {
		if err := s.wait(ctx, &s.closers, &never); errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	left += int(s.stats.Lost - lost)
	if n := int(s.backlog.n); n > left {
		left = n
	}
	s.backlog.clear()
	for s.inbox.n > 0 {
		p := s.inbox.pop()
		p.inbox = false
		s.discard(p)
	}
	return left
}
