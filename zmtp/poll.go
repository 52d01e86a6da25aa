package zmtp

import (
	"context"
	"errors"
	"os"
)

// A PollItem is a socket, the conditions that Poll waits for, and the conditions that Poll found.
type PollItem struct {
	Socket *Socket
	Recv   bool // whether to wait until there is a message to receive
	Send   bool // whether to wait until Send would not wait

	CanRecv, CanSend bool // set by Poll
}

// Poll waits until one of the sockets has a message to receive or can send, or ctx ends, and returns the number of
// ready items. A closed socket, and one that cannot send or receive in its present state (ErrState), is ready:
// TryRecv and TrySend return the reason. TryRecv may return ErrWouldBlock for a ready item: another goroutine has
// received the message, or it is not for a SUB's topics. Any goroutine may call Poll.
func Poll(ctx context.Context, items []PollItem) (ready int, err error) {
	who := &waiter{make(chan struct{}, 1)}
	for {
		for i := range items {
			if items[i].look(who) {
				ready++
			}
		}
		if ready == 0 {
			select {
			case <-who.woken:
			case <-ctx.Done():
				err = context.Cause(ctx)
				if errors.Is(err, context.DeadlineExceeded) {
					err = os.ErrDeadlineExceeded
				}
			}
		}
		for i := range items {
			items[i].Socket.forgetPoll(who)
		}
		if ready > 0 || err != nil {
			return ready, err
		}
		select {
		case <-who.woken:
		default:
		}
	}
}

// look notes what the item is ready for, and has who wait for it otherwise.
func (item *PollItem) look(who *waiter) bool {
	s := item.Socket
	s.mu.Lock()
	defer s.mu.Unlock()
	item.CanRecv = item.Recv && s.canReceive()
	item.CanSend = item.Send && s.canSend()
	if item.CanRecv || item.CanSend {
		return true
	}
	if item.Recv {
		s.receivers.add(who)
	}
	if item.Send {
		s.senders.add(who)
	}
	return false
}

// forgetPoll takes who away from those who wait. What woke it is left to another.
func (s *Socket) forgetPoll(who *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receivers.remove(who)
	s.senders.remove(who)
	if s.waiting > 0 {
		s.receivers.wake(1)
	}
	if s.canSend() {
		s.senders.wake(1)
	}
}

// canReceive tells whether receiving would not wait, as far as can be known before the message is looked at. s.mu is held.
func (s *Socket) canReceive() bool {
	if s.closing || !traits[s.typ].recvs || s.opt.Handler != nil {
		return true
	}
	if s.typ == REQ && s.mayReceive() != nil || s.typ == REP && s.asking != nil {
		return true
	}
	return s.waiting > 0
}

// canSend tells whether sending would not wait. s.mu is held.
func (s *Socket) canSend() bool {
	switch {
	case s.closing || !traits[s.typ].sends || !traits[s.typ].balance:
		return true
	case s.typ == REQ && s.asked.open && !s.opt.ReqRelaxed:
		return true
	case s.crowded():
		return false
	case s.room > 0:
		return true
	}
	return !s.opt.Immediate && len(s.peers) == 0 && len(s.dialers) > 0 &&
		int(s.backlog.n) < s.opt.SendHighWater && int(s.backlog.size) < s.opt.HighWaterBytes
}
