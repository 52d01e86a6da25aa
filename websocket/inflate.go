package websocket

import (
	"sync"
)

// A pieceInflater inflates a message while it comes, cut anywhere (RFC 1951): for a Receiver. compress/flate cannot do
// that without a goroutine that waits for its input. Its zero value is at the beginning of a message.
type pieceInflater struct {
	in    []byte // what it was given and has not taken into held
	held  uint64 // bits that were taken and are not used, the first one lowest
	count uint   // of them

	step        inflateStep
	last        bool // the block is the last of its stream
	left        int  // bytes of a stored block that have not come
	literals    huffman
	distances   huffman
	lengths     [maxLiterals + maxDistances]uint8 // of the codes of a block, as far as they are known
	have        int
	literalsLen int
	allLen      int
	codesLen    int

	out [1<<maxWindowBits + pieceSize + longestMatch]byte // what messages may refer to, and then the next piece
	end int
}

// An inflateStep is what a pieceInflater reads next.
type inflateStep uint8

const (
	blockHeader  inflateStep = iota
	storedHeader             // the length of a stored block
	storedBytes
	dynamicHeader // how many codes a block has
	codesHeader   // the code of the lengths of the codes
	codeLengths
	symbols
)

const (
	pieceSize    = 32 << 10
	longestMatch = 258
	maxLiterals  = 286
	maxDistances = 30
	endOfBlock   = 256
)

var pieceInflaters = sync.Pool{New: func() any { return new(pieceInflater) }}

// begin prepares z for a message that may refer to history.
func (z *pieceInflater) begin(history []byte) {
	z.in, z.held, z.count, z.step, z.last = nil, 0, 0, blockHeader, false
	z.end = copy(z.out[:1<<maxWindowBits], history)
}

// next inflates p as far as a piece has room. It returns the piece, valid until the next call, and how many bytes of p it
// took: all, unless the piece is full. A full piece is never empty, and never takes nothing of p.
func (z *pieceInflater) next(p []byte) (used int, piece []byte, err error) {
	const window = 1 << maxWindowBits
	if z.end > window+pieceSize/2 {
		copy(z.out[:], z.out[z.end-window:z.end])
		z.end = window
	}
	from := z.end
	z.in = p
	for z.room() {
		goesOn, err := z.read()
		if err != nil {
			return 0, nil, err
		}
		if !goesOn {
			return len(p), z.out[from:z.end], nil
		}
	}
	back := min(int(z.count/8), len(p)-len(z.in)) // whole bytes that were taken too early
	z.count -= uint(back) * 8
	z.held &= 1<<z.count - 1
	return len(p) - len(z.in) - back, z.out[from:z.end], nil
}

// room tells whether the longest match fits into the piece.
func (z *pieceInflater) room() bool { return z.end <= len(z.out)-longestMatch }

// complete tells whether a message may end here, where its tail has been read.
func (z *pieceInflater) complete() bool { return z.step == blockHeader && z.count == 0 }

// history returns what has come out last, at most n bytes.
func (z *pieceInflater) history(n int) []byte { return z.out[max(0, z.end-n):z.end] }

// fill takes input until at least n bits are held, if there are so many. n is at most 57.
func (z *pieceInflater) fill(n uint) bool {
	for z.count < n && len(z.in) > 0 {
		z.held |= uint64(z.in[0]) << z.count
		z.in = z.in[1:]
		z.count += 8
	}
	return z.count >= n
}

// use returns the next n bits, which are held.
func (z *pieceInflater) use(n uint) int {
	v := z.held & (1<<n - 1)
	z.held >>= n
	z.count -= n
	return int(v)
}

// read does the next step. It does not go on when input is missing for it.
func (z *pieceInflater) read() (goesOn bool, err error) {
	switch z.step {
	case blockHeader:
		return z.readBlockHeader()
	case storedHeader:
		if !z.fill(32) {
			return false, nil
		}
		z.left = z.use(16)
		if z.use(16) != z.left^0xffff {
			return false, errNotDeflate
		}
		z.step = storedBytes
	case storedBytes:
		return z.readStored()
	case dynamicHeader:
		if !z.fill(14) {
			return false, nil
		}
		z.literalsLen = 257 + z.use(5)
		z.allLen = z.literalsLen + 1 + z.use(5)
		z.codesLen = 4 + z.use(4)
		if z.literalsLen > maxLiterals || z.allLen-z.literalsLen > maxDistances {
			return false, errNotDeflate
		}
		clear(z.lengths[:])
		z.have, z.step = 0, codesHeader
	case codesHeader:
		for ; z.have < z.codesLen; z.have++ {
			if !z.fill(3) {
				return false, nil
			}
			z.lengths[codeOrder[z.have]] = uint8(z.use(3))
		}
		if !z.literals.build(z.lengths[:len(codeOrder)]) {
			return false, errNotDeflate
		}
		clear(z.lengths[:])
		z.have, z.step = 0, codeLengths
	case codeLengths:
		return z.readLengths()
	case symbols:
		return z.readSymbols()
	}
	return true, nil
}

func (z *pieceInflater) readBlockHeader() (goesOn bool, err error) {
	if z.last { // the next stream begins at a byte (RFC 7692, section 7.2.3.4)
		z.use(z.count % 8)
		z.last = false
	}
	if !z.fill(3) {
		return false, nil
	}
	z.last = z.use(1) == 1
	switch z.use(2) {
	case 0:
		z.use(z.count % 8)
		z.step = storedHeader
	case 1:
		z.literals, z.distances = fixedLiterals, fixedDistances
		z.step = symbols
	case 2:
		z.step = dynamicHeader
	default:
		return false, errNotDeflate
	}
	return true, nil
}

func (z *pieceInflater) readStored() (goesOn bool, err error) {
	for z.left > 0 && z.room() {
		if z.count > 0 {
			z.out[z.end] = byte(z.use(8))
			z.end++
			z.left--
			continue
		}
		n := copy(z.out[z.end:], z.in[:min(len(z.in), z.left)])
		if n == 0 {
			return false, nil
		}
		z.in = z.in[n:]
		z.end += n
		z.left -= n
	}
	if z.left == 0 {
		z.step = blockHeader
	}
	return true, nil
}

// codeOrder is in which order the lengths of the codes for lengths come.
var codeOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readLengths reads the lengths of the codes of a block.
func (z *pieceInflater) readLengths() (goesOn bool, err error) {
	for z.have < z.allLen {
		z.fill(14)
		symbol, n := z.literals.decode(z.held)
		extra := [...]uint{2, 3, 7}[min(max(symbol-16, 0), 2)]
		switch {
		case symbol < 0 && z.count >= maxCode:
			return false, errNotDeflate
		case symbol < 0 || n > z.count || symbol >= 16 && n+extra > z.count:
			return false, nil
		case symbol < 16:
			z.use(n)
			z.lengths[z.have] = uint8(symbol)
			z.have++
			continue
		case symbol == 16 && z.have == 0:
			return false, errNotDeflate
		}
		z.use(n)
		again, length := z.use(extra)+[...]int{3, 3, 11}[symbol-16], uint8(0)
		if symbol == 16 {
			length = z.lengths[z.have-1]
		}
		if z.have+again > z.allLen {
			return false, errNotDeflate
		}
		for ; again > 0; again-- {
			z.lengths[z.have] = length
			z.have++
		}
	}
	if !z.literals.build(z.lengths[:z.literalsLen]) || !z.distances.build(z.lengths[z.literalsLen:z.allLen]) {
		return false, errNotDeflate
	}
	z.step = symbols
	return true, nil
}

// readSymbols reads literals and matches, each whole or not at all.
func (z *pieceInflater) readSymbols() (goesOn bool, err error) {
	for z.room() {
		z.fill(48) // the most that a match has
		symbol, n := z.literals.decode(z.held)
		switch {
		case symbol < 0 && z.count >= maxCode || symbol >= maxLiterals:
			return false, errNotDeflate
		case symbol < 0 || n > z.count:
			return false, nil
		case symbol < endOfBlock:
			z.use(n)
			z.out[z.end] = byte(symbol)
			z.end++
			continue
		case symbol == endOfBlock:
			z.use(n)
			z.step = blockHeader
			return true, nil
		}
		length := matches[symbol-endOfBlock-1]
		at := n + uint(length.extra)
		code, n := z.distances.decode(z.held >> at)
		switch {
		case code < 0 && z.count >= at+maxCode || code >= maxDistances:
			return false, errNotDeflate
		case code < 0:
			return false, nil
		}
		distance := distances[code]
		if at+n+uint(distance.extra) > z.count {
			return false, nil
		}
		z.use(at - uint(length.extra))
		size := length.base + z.use(uint(length.extra))
		z.use(n)
		back := distance.base + z.use(uint(distance.extra))
		if back > z.end {
			return false, errNotDeflate
		}
		for range size { // the two may overlap
			z.out[z.end] = z.out[z.end-back]
			z.end++
		}
	}
	return true, nil
}
