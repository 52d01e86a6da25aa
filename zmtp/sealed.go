package zmtp

import (
	"github.com/switchboard-go/switchboard/internal/buffer"
)

// inputSealed takes bytes of encrypted frames.
func (p *peer) inputSealed(b []byte) error {
	limit := uint64(p.s.opt.MaxMessageSize + sealOverhead)
	check := func(h header) error {
		if h.size > limit {
			return overLimit("an encrypted frame of %d bytes, where Options.MaxMessageSize allows %d", h.size, p.s.opt.MaxMessageSize)
		}
		return nil
	}
	for len(b) > 0 && p.state.get() == stateReady {
		if a := p.asm; a != nil && a.sealed != nil {
			h, rest, err := fill(&a.sealed, 0, b, check)
			if err != nil || h.len == 0 {
				return err
			}
			b = rest
			sealed := a.sealed
			a.sealed = nil
			err = p.openFrame(sealed.B[h.len:])
			buffer.Put(sealed)
			if err != nil {
				return err
			}
			if p.asm == a && a.b == nil {
				p.asm = nil
				a.free()
			}
			continue
		}
		h, err := parseHeader(b)
		if err == nil && h.len > 0 {
			err = check(h)
		}
		if err != nil {
			return err
		}
		if end := h.len + int(h.size); h.len > 0 && end <= len(b) {
			if err := p.openFrame(b[h.len:end]); err != nil {
				return err
			}
			b = b[end:]
			continue
		}
		if p.asm == nil {
			p.asm = assemblies.Get().(*assembly)
		}
		p.asm.sealed = buffer.Get(longestHeader)
	}
	return nil
}

// openFrame decrypts a frame and takes it.
func (p *peer) openFrame(body []byte) error {
	r := p.batch()
	flags, plain, err := p.more.Load().cipher.open(r.scratch, body)
	if err != nil {
		return err
	}
	if cap(plain) <= chunkSize && cap(plain) > cap(r.scratch) {
		r.scratch = plain[:0]
	}
	if flags&flagCommand != 0 {
		return p.command(plain)
	}
	var t tally
	a := p.asm
	if a != nil {
		t = tally{a.parts, a.size, a.delim}
	}
	h := header{flags: flags, size: uint64(len(plain))}
	if err := p.begins(h, &t); err != nil {
		return err
	}
	whole, err := p.counts(h, &t)
	if err != nil {
		return err
	}
	if a == nil {
		a = assemblies.Get().(*assembly)
		p.asm = a
	}
	if a.b == nil {
		a.b = buffer.Get(frameSize(len(plain)))
	}
	if grown := len(a.b.B) + frameSize(len(plain)); grown > cap(a.b.B) {
		larger := buffer.Get(2 * grown)
		larger.B = append(larger.B, a.b.B...)
		buffer.Put(a.b)
		a.b = larger
	}
	a.b.B = appendFrame(a.b.B, flags, plain)
	a.parts, a.size, a.delim = t.parts, t.size, t.delim
	if whole {
		b := a.b
		a.b = nil
		p.asm = nil
		a.free()
		p.deliverWhole(b)
	}
	return nil
}
