package simkernel

import (
	"fmt"
	"syscall"
	"time"
)

// A Peer is the program at the other end of a connection.
type Peer struct {
	Plan
	ID      Stream
	Out     Stream   // what it writes
	In      Stream   // what it is to read
	InFrom  int64    // from this byte on
	Echo    bool     // it writes what it has read, and nothing else
	Dialled bool     // the program has called it
	At      string   // at this address
	Speaks  *Session // TLS, or nil

	// Later is TLS that it begins when it has written LaterAt bytes in the clear and read LaterGot, or nil.
	Later             *Session
	LaterAt, LaterGot int64

	k       *Kernel
	sock    *sock
	of      *sock // the program's end
	sent    int64
	got     int64
	wrong   string
	heard   PeerEnd
	echo    []byte
	writing bool
	reading bool
	ending  bool
	parting bool // as soon as all is sent
	garbled bool
	ended   bool   // its output
	wire    []byte // encrypted, and not sent
	closed  bool
	since   time.Duration
	took    time.Duration
}

// A PeerEnd is how the connection has ended, as the peer sees it.
type PeerEnd uint8

const (
	Open  PeerEnd = iota
	Ended         // in order
	Reset
	Cut     // over TLS without a close_notify
	Alerted // TLS has failed
)

// Sent returns how many bytes the peer has written, Got how many it has read.
func (p *Peer) Sent() int64 { return p.sent }
func (p *Peer) Got() int64  { return p.got }

// Heard tells how the program has ended its output.
func (p *Peer) Heard() PeerEnd { return p.heard }

// Wrong says which byte was not the one that belonged there, or is empty.
func (p *Peer) Wrong() string { return p.wrong }

// Said tells whether the peer has said, over TLS, that nothing more comes.
func (p *Peer) Said() bool { return p.Speaks == nil || p.Speaks.said }

// Up tells whether it can write and read what it is to say and hear: over TLS, the handshake is done.
func (p *Peer) Up() bool { return p.Speaks == nil || p.Speaks.up }

// HasEnded tells whether the peer has ended its output, or all.
func (p *Peer) HasEnded() bool { return p.ended || p.closed }

// LastArrived returns when something that the peer has written last arrived at the program's end, or when the peer connected.
func (p *Peer) LastArrived() time.Duration {
	if p.sock == nil || p.sock.other == nil {
		return p.since
	}
	return max(p.since, p.sock.other.arrived)
}

// LastRead returns when the peer has last read something.
func (p *Peer) LastRead() time.Duration { return p.took }

// LastTaken returns when the peer's system last acknowledged something of what the program sent, zero if there is no more to take.
func (p *Peer) LastTaken() time.Duration {
	if p.sock == nil || p.sock.other == nil || len(p.sock.other.out) == 0 {
		return 0
	}
	return p.sock.other.taken
}

// Reads tells whether the peer goes on reading what there is.
func (p *Peer) Reads() bool {
	return !p.closed && (p.StopAt < 0 || p.got < p.StopAt || p.ResumeAt > 0 && p.k.now >= p.since+p.ResumeAt)
}

// Unix tells whether the connection is one of Unix sockets, on which there is no reset.
func (p *Peer) Unix() bool { return p.sock != nil && p.sock.unix }

// Closed tells whether the peer has closed its end.
func (p *Peer) Closed() bool { return p.closed }

func (p *Peer) String() string {
	return fmt.Sprintf("peer %d (%+v): sent %d, got %d, ended %v, closed %v, heard %v", p.ID, p.Plan, p.sent, p.got, p.ended, p.closed, p.heard)
}

// Peers returns all that there have been.
func (k *Kernel) Peers() []*Peer {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.peers
}

func (k *Kernel) newPeer(at string) *Peer {
	id := Stream(len(k.peers) + 1)
	p := &Peer{k: k, ID: id, Out: 2 * id, In: 2*id + 1, Plan: k.plan(), Dialled: at != "", At: at}
	k.peers = append(k.peers, p)
	if k.Play != nil {
		k.Play(p)
	}
	return p
}

// Call has a peer connect to a listening socket after d.
func (k *Kernel) Call(listening int, d time.Duration) *Peer {
	k.mu.Lock()
	defer k.mu.Unlock()
	ln, ok := find[*listener](k, "Call", listening)
	if !ok {
		panic("simkernel: Call: not a listener")
	}
	p := k.newPeer("")
	s := k.newSock(ln.unix)
	s.owner, s.local, s.remote, s.state = p, k.localPort(), ln.address, stateConnecting
	p.sock = s
	k.after(d, func() { ln.arrive(s, p.begin) })
	return p
}

// Address returns the address of the peer's end as the program sees it.
func (p *Peer) Address() string { return p.sock.local.String() }

func (p *Peer) begin() {
	p.since, p.took = p.k.now, p.k.now
	if p.ResumeAt > 0 {
		p.k.after(p.ResumeAt, p.wake)
	}
	if p.EndsAt > 0 && p.End != Stays {
		p.k.after(p.EndsAt, p.end)
	}
	if p.Speaks != nil {
		p.Speaks.begin()
		p.wire = append(p.wire, p.Speaks.output()...)
	}
	p.wake()
}

// wake is called when something has happened to its end.
func (p *Peer) wake() {
	if !p.closed && p.sock.state != stateConnecting {
		p.upgrade()
		p.goOn()
		p.mayEnd()
	}
}

// upgrade begins TLS, if that is to follow what it has written and read.
func (p *Peer) upgrade() {
	if p.Later == nil || p.ended || p.sent < p.LaterAt || p.got < p.LaterGot {
		return
	}
	p.Speaks, p.Later = p.Later, nil
	p.Speaks.begin()
	p.wire = append(p.wire, p.Speaks.output()...)
}

// goOn has it read and write what it can.
func (p *Peer) goOn() {
	if !p.reading && p.wantsToRead() {
		p.reading = true
		p.k.after(0, p.read)
	}
	if !p.writing && p.wantsToWrite() {
		p.writing = true
		p.k.after(0, p.write)
	}
}

func (p *Peer) wantsToRead() bool {
	s := p.sock
	if p.Up() && p.StopAt >= 0 && p.got >= p.StopAt && (p.ResumeAt == 0 || p.k.now < p.since+p.ResumeAt) {
		return false
	}
	return p.heard == Open && (len(s.in) > 0 || s.noMore || s.err != 0)
}

func (p *Peer) read() {
	p.reading = false
	if p.closed || !p.wantsToRead() {
		return
	}
	most := len(p.sock.in) + 1
	if p.Read > 0 {
		most = min(most, p.Read)
	}
	if p.Up() && p.StopAt >= 0 && p.got < p.StopAt {
		most = min(most, int(p.StopAt-p.got))
	}
	buf := make([]byte, most)
	n, errno := p.sock.recv(buf)
	switch {
	case errno == syscall.EAGAIN:
	case errno != 0:
		p.heard = Reset
		p.k.trace("peer %d hears %v", p.ID, errno)
	case n == 0:
		p.heard = Ended
		if p.Speaks != nil && !p.Speaks.notified {
			p.heard = Cut
			if p.Speaks.over {
				p.heard = Alerted
			}
		}
		p.k.trace("peer %d hears the end: %d", p.ID, p.heard)
	default:
		p.took = p.k.now
		if p.Speaks == nil {
			p.take(buf[:n])
			break
		}
		p.take(p.Speaks.take(buf[:n]))
		p.wire = append(p.wire, p.Speaks.output()...)
		if p.Speaks.notified { // a program is told of the end then, whatever comes of the connection
			p.heard = Ended
			p.k.trace("peer %d hears the end", p.ID)
		}
		if err := p.Speaks.failure(); err != nil && !p.garbled && p.wrong == "" {
			p.wrong = fmt.Sprintf("TLS fails after %d bytes: %v", p.got, err)
		}
	}
	if p.wantsToRead() {
		p.reading = true
		p.k.after(p.ReadEvery, p.read)
	}
	p.wake()
}

// take takes bytes that the program has written.
func (p *Peer) take(b []byte) {
	if i := p.In.Check(b, p.InFrom+p.got); i >= 0 && p.wrong == "" && p.In != Anything {
		p.wrong = fmt.Sprintf("byte %d of those that it reads is %d and not %d", p.got+int64(i), b[i], p.In.At(p.InFrom+p.got+int64(i)))
	}
	p.got += int64(len(b))
	if p.Echo {
		p.echo = append(p.echo, b...)
	}
}

// all is how much the peer writes.
func (p *Peer) all() int64 {
	switch {
	case p.Echo:
		return p.sent + int64(len(p.echo))
	case p.Later != nil:
		return min(p.LaterAt, int64(p.Send))
	case p.EndsInMidst:
		return int64(p.Send / 2)
	}
	return int64(p.Send)
}

// says tells whether TLS still takes something to send.
func (p *Peer) says() bool { return p.Speaks == nil || !p.Speaks.said && !p.Speaks.over }

func (p *Peer) wantsToWrite() bool {
	return !p.ended && p.sock.state == stateConnected && !p.sock.shut && (len(p.wire) > 0 || p.Up() && p.says() && p.sent < p.all()) && p.sock.free() > 0
}

func (p *Peer) write() {
	p.writing = false
	if p.closed || !p.wantsToWrite() {
		return
	}
	if p.Speaks != nil {
		p.writeWire()
		return
	}
	n := int(min(p.all()-p.sent, int64(p.Chunk), int64(p.sock.free())))
	buf := make([]byte, n)
	if p.Echo {
		copy(buf, p.echo)
	} else {
		p.Out.Fill(buf, p.sent)
	}
	n, errno := p.sock.send(buf)
	if errno == 0 {
		p.sent += int64(n)
		if p.Echo {
			p.echo = p.echo[n:]
		}
	}
	p.writeOn()
}

// writeOn goes on to write, or to end.
func (p *Peer) writeOn() {
	p.upgrade()
	if p.wantsToWrite() {
		p.writing = true
		p.k.after(p.Every, p.write)
	}
	p.mayEnd()
}

// writeWire is write over TLS: records are cut anywhere.
func (p *Peer) writeWire() {
	if len(p.wire) == 0 {
		buf := make([]byte, min(p.all()-p.sent, int64(p.Chunk)))
		if p.Echo {
			copy(buf, p.echo)
			p.echo = p.echo[len(buf):]
		} else {
			p.Out.Fill(buf, p.sent)
		}
		p.sent += int64(len(buf))
		p.Speaks.say(buf)
		p.wire = p.Speaks.output()
		if p.Garbles > 0 && p.sent >= p.Garbles && !p.garbled && len(p.wire) > 5 {
			p.garbled = true
			p.wire[5+p.k.rng.IntN(len(p.wire)-5)] ^= 1 << p.k.rng.IntN(8)
		}
	}
	n := min(len(p.wire), p.sock.free())
	if p.k.rng.IntN(2) == 0 {
		n = 1 + p.k.rng.IntN(n)
	}
	if n, errno := p.sock.send(p.wire[:n]); errno == 0 {
		p.wire = p.wire[n:]
	}
	p.writeOn()
}

// mayEnd ends the peer's part when it has written all.
func (p *Peer) mayEnd() {
	if p.Later != nil && p.heard == Open {
		return // it ends with EndsAt, if at all
	}
	if p.Speaks != nil && p.Speaks.over && !p.Speaks.notified && len(p.wire) == 0 && p.heard == Open {
		p.heard = Alerted
	}
	if p.heard != Open && p.heard != Ended {
		p.close()
		return
	}
	if p.heard == Ended && (p.ended || p.End == Stays && p.sent >= p.all() && len(p.echo) == 0) {
		if p.Speaks != nil && !p.ended && !p.Cuts && p.says() {
			p.Speaks.sayEnd()
			p.wire = append(p.wire, p.Speaks.output()...)
		}
		if len(p.wire) == 0 || p.ended || p.sock.state != stateConnected {
			p.close()
		} else {
			p.goOn()
		}
		return
	}
	if p.ending && p.parting && len(p.wire) == 0 && !p.ended {
		p.part()
	}
	if p.ending || p.End == Stays || p.sent < p.all() || len(p.wire) > 0 {
		return
	}
	if p.Echo && p.heard == Open {
		return
	}
	p.ending = true
	p.k.after(p.After, p.end)
}

func (p *Peer) end() {
	if p.closed || p.ended {
		return
	}
	if p.Speaks != nil && !p.Cuts && p.says() && p.End != Resets && p.Up() {
		p.Speaks.sayEnd()
		p.wire = append(p.wire, p.Speaks.output()...)
		p.ending, p.parting = true, true
		p.wake()
		return
	}
	p.part()
}

// part ends its output, or all.
func (p *Peer) part() {
	switch p.End {
	case Closes:
		p.close()
	case Resets:
		p.sock.noLinger = true
		p.close()
	default:
		p.ended = true
		p.sock.shutdownWrite()
		if p.End == CloseResets {
			p.k.after(p.k.latency(), func() {
				p.sock.noLinger = true
				p.close()
			})
		}
		p.wake()
	}
}

func (p *Peer) close() {
	if p.closed {
		return
	}
	p.closed = true
	p.sock.release()
}

// Stop ends what the peer has running, when its run is over.
func (p *Peer) Stop() {
	if p.Speaks != nil {
		p.Speaks.Stop()
	}
}
