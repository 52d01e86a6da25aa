package websocket

import (
	"math/bits"
)

// A span is what a symbol of a length or a distance stands for (RFC 1951, section 3.2.5): base, and what its extra bits add.
type span struct {
	base  int
	extra uint8
}

var matches, distances = func() (matches [29]span, distances [maxDistances]span) {
	fill := func(spans []span, base, each int) {
		for i := range spans {
			extra := max(0, i/each-1)
			spans[i] = span{base, uint8(extra)}
			base += 1 << extra
		}
	}
	fill(matches[:28], 3, 4)
	matches[28] = span{longestMatch, 0}
	fill(distances[:], 1, 2)
	return matches, distances
}()

const (
	maxCode  = 15 // bits
	fastCode = 9  // bits of a code that is found at once
)

// A huffman is a code (RFC 1951, section 3.2.2).
type huffman struct {
	fast    [1 << fastCode]uint16 // by the next bits: the symbol, and in the low 4 bits its code's length; 0: a longer one
	counts  [maxCode + 1]uint16   // codes of each length
	symbols [maxLiterals + 2]uint16
}

// build makes h the code whose symbols have codes of these lengths; 0 is none. It fails if that is no code: only one that
// has a single symbol, or none, may be incomplete.
func (h *huffman) build(lengths []uint8) bool {
	*h = huffman{}
	all := 0
	for _, n := range lengths {
		if n > 0 {
			h.counts[n]++
			all++
		}
	}
	var codes, places [maxCode + 2]int // of the next symbol of each length
	free := 1
	for n := 1; n <= maxCode; n++ {
		free = free<<1 - int(h.counts[n])
		if free < 0 {
			return false
		}
		codes[n+1] = (codes[n] + int(h.counts[n])) << 1
		places[n+1] = places[n] + int(h.counts[n])
	}
	if free > 0 && all > 0 && (all > 1 || h.counts[1] == 0) {
		return false
	}
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		h.symbols[places[n]] = uint16(symbol)
		places[n]++
		code := codes[n]
		codes[n]++
		if n <= fastCode {
			for i := int(bits.Reverse16(uint16(code)) >> (16 - n)); i < len(h.fast); i += 1 << n {
				h.fast[i] = uint16(symbol)<<4 | uint16(n)
			}
		}
	}
	return true
}

// decode returns the symbol whose code next begins with, and how long the code is. Less than 0 is none.
func (h *huffman) decode(next uint64) (symbol int, n uint) {
	if e := h.fast[next%(1<<fastCode)]; e != 0 {
		return int(e >> 4), uint(e & 15)
	}
	code, first, place := 0, 0, 0
	for n := uint(1); n <= maxCode; n++ {
		code |= int(next & 1)
		next >>= 1
		count := int(h.counts[n])
		if code-first < count {
			return int(h.symbols[place+code-first]), n
		}
		place += count
		first = (first + count) << 1
		code <<= 1
	}
	return -1, 0
}

// The code of blocks that bring none (RFC 1951, section 3.2.6).
var fixedLiterals, fixedDistances = func() (literals, distances huffman) {
	var lengths [maxLiterals + 2]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	literals.build(lengths[:])
	for i := range 32 {
		lengths[i] = 5
	}
	distances.build(lengths[:32])
	return literals, distances
}()
