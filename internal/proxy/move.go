package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/switchboard-go/switchboard"
)

// A line moves to another process when its client and its target are joined: both connections say which line they are of.
const (
	clientKind   = "proxy/client"
	targetKind   = "proxy/target"
	movedVersion = 1
)

// moves are the lines that come over, and of which one connection has not come yet.
type moves struct {
	mu   sync.Mutex
	last uint64
	half map[uint64]*line
}

// Move implements switchboard.Mover.
func (ln *line) Move(*switchboard.Conn) (switchboard.HandlerState, error) {
	return ln.state(clientKind)
}

// Move implements switchboard.Mover.
func (a *asking) Move(c *switchboard.Conn) (switchboard.HandlerState, error) {
	return (*line)(a).Move(c)
}

// Move implements switchboard.Mover.
func (b *backend) Move(*switchboard.Conn) (switchboard.HandlerState, error) {
	return (*line)(b).state(targetKind)
}

// MovesEarly implements switchboard.EarlyMover.
func (ln *line) MovesEarly(*switchboard.Conn) bool { return true }

// MovesEarly implements switchboard.EarlyMover.
func (a *asking) MovesEarly(*switchboard.Conn) bool { return true }

// MovesEarly implements switchboard.EarlyMover.
func (b *backend) MovesEarly(*switchboard.Conn) bool { return true }

func (ln *line) state(kind string) (switchboard.HandlerState, error) {
	if !ln.joined || ln.gone || ln.socket != nil {
		return switchboard.HandlerState{}, errors.New("proxy: the line is not joined")
	}
	m := &ln.proxy.moves
	m.mu.Lock()
	defer m.mu.Unlock()
	if ln.moved == 0 {
		m.last++
		ln.moved = m.last
	}
	data := append(binary.AppendUvarint(nil, ln.moved), ln.target.Address...)
	return switchboard.HandlerState{Kind: kind, Version: movedVersion, Data: data}, nil
}

// Moved is for switchboard.Server: it takes over the lines of another process. Their targets need not be among those of the
// proxy.
func (p *Proxy) Moved(c *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
	id, n := binary.Uvarint(from.Data)
	if from.Kind != clientKind && from.Kind != targetKind || from.Version != movedVersion || n <= 0 {
		return nil, fmt.Errorf("proxy: %q of version %d came over, which is none of version %d", from.Kind, from.Version, movedVersion)
	}
	m := &p.moves
	m.mu.Lock()
	defer m.mu.Unlock()
	ln := m.half[id]
	if ln == nil {
		if m.half == nil {
			m.half = map[uint64]*line{}
		}
		ln = &line{proxy: p, joined: true, target: p.targets.named(string(from.Data[n:]))}
		m.half[id] = ln
	} else {
		delete(m.half, id)
	}
	if from.Kind == targetKind {
		ln.target.active.Add(1)
		p.lines.join(ln, c)
		return (*backend)(ln), nil
	}
	ln.client = c
	p.enter(ln)
	return ln, nil
}

// named returns the target of an address; one of its own if there is none, for a line that another process has begun.
func (p *pool) named(address string) *target {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.all {
		if t.Address == address {
			return t
		}
	}
	return &target{Target: Target{Address: address}, pool: p}
}
