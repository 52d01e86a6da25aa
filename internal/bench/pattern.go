package bench

// chunk is how many bytes leave in one write at most.
const chunk = 64 << 10

// A pattern is an endless stream of bytes of which any chunk lies in one piece. A byte's value depends on its position,
// so that bytes which were lost, doubled or moved show when the stream comes back.
type pattern struct {
	bytes  []byte
	period int
}

// noise repeats after a prime number of bytes, so that it is never the size of a buffer by which bytes go astray. With
// text it has letters only, else every byte.
func noise(text bool) *pattern {
	const period = 65521
	once := make([]byte, period)
	x := uint32(2463534242)
	for i := range once {
		x ^= x << 13 // xorshift, Marsaglia 2003
		x ^= x >> 17
		x ^= x << 5
		once[i] = byte(x >> 16)
		if text {
			once[i] = 'a' + once[i]%26
		}
	}
	return repeating(once)
}

// repeating is one message after the other, all the same.
func repeating(message []byte) *pattern {
	p := &pattern{period: len(message)}
	for len(p.bytes) < p.period+chunk {
		p.bytes = append(p.bytes, message...)
	}
	return p
}

// at returns n bytes, at most a chunk, from a position below the period.
func (p *pattern) at(position, n int) []byte { return p.bytes[position : position+n] }

// after returns the position n bytes further on.
func (p *pattern) after(position, n int) int { return (position + n) % p.period }
