package simkernel

// A Stream is bytes that tell whose they are and where they belong.
type Stream uint32

// At returns the byte at a position.
func (s Stream) At(at int64) byte {
	x := (uint64(s)<<40 ^ uint64(at)) * 0x9e3779b97f4a7c15
	x = (x ^ x>>32) * 0xbf58476d1ce4e5b9
	return byte(x >> 56)
}

// Fill fills p with the bytes from a position on.
func (s Stream) Fill(p []byte, from int64) {
	for i := range p {
		p[i] = s.At(from + int64(i))
	}
}

// Check returns the index of the first byte of p that is not the stream's, or -1.
func (s Stream) Check(p []byte, from int64) int {
	for i, b := range p {
		if b != s.At(from+int64(i)) {
			return i
		}
	}
	return -1
}

// Anything as a peer's In: it does not check what it reads.
const Anything Stream = 1<<32 - 1
