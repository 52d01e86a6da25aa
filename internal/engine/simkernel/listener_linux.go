package simkernel

import (
	"net/netip"
	"syscall"
	"time"
)

// A listener has connections wait until they are accepted.
type listener struct {
	k       *Kernel
	unix    bool
	address netip.AddrPort
	path    string
	backlog int
	waiting []*sock
	file    *file
	closed  bool
}

// Waiting returns how many connections wait to be accepted by a listening socket, those included whose peers have gone.
func (k *Kernel) Waiting(listening int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ln, ok := find[*listener](k, "Waiting", listening); ok {
		return len(ln.waiting)
	}
	return 0
}

// Backlog returns the peers that wait to be accepted by a listening socket.
func (k *Kernel) Backlog(listening int) (peers []*Peer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ln, ok := find[*listener](k, "Backlog", listening); ok {
		for _, s := range ln.waiting {
			if s.other.owner != nil {
				peers = append(peers, s.other.owner)
			}
		}
	}
	return peers
}

func (ln *listener) poll() uint32 {
	if len(ln.waiting) > 0 {
		return pollIn
	}
	return 0
}

func (ln *listener) release() {
	ln.closed = true
	for _, s := range ln.waiting {
		s.orphan = true
		s.in = nil
		if s.unix {
			s.release()
		} else {
			s.sendReset()
		}
	}
	ln.waiting = nil
}

// arrive puts a connection of client into the backlog. If that is full the client tries again, later each time, and gives up
// in the end.
func (ln *listener) arrive(client *sock, established func()) {
	ln.try(client, established, time.Millisecond)
}

func (ln *listener) try(client *sock, established func(), pause time.Duration) {
	const patience = 30 * time.Second
	switch {
	case ln.closed:
		client.reset()
		return
	case client.orphan:
		return
	case len(ln.waiting) >= ln.backlog && pause > patience:
		client.err, client.state, client.noMore, client.shut = syscall.ETIMEDOUT, stateDead, true, true
		client.wake()
		return
	case len(ln.waiting) >= ln.backlog:
		ln.k.after(pause+time.Duration(ln.k.rng.Int64N(int64(pause))), func() { ln.try(client, established, 2*pause) })
		return
	}
	s := ln.k.newSock(ln.unix)
	s.local, s.remote = ln.address, client.local
	join(client, s)
	ln.waiting = append(ln.waiting, s)
	ln.file.wakes++
	established()
}
