package simkernel

import "time"

// How a peer ends.
type Ending uint8

const (
	Stays       Ending = iota // until the program ends the connection
	HalfCloses                // ends its output, and closes when the program has ended its own
	Closes                    // closes, whatever is still to come
	Resets                    // drops everything
	CloseResets               // ends its output, and resets a little later

	endings
)

// A Plan is what a peer does.
type Plan struct {
	Send        int           // bytes that it writes
	Chunk       int           // at most so many at once
	Every       time.Duration // and then waits for so long
	Read        int           // at most so many bytes at once. Zero: all that there is
	ReadEvery   time.Duration // and then waits for so long
	StopAt      int64         // bytes read after which it reads no more, until ResumeAt. Negative: it always reads
	ResumeAt    time.Duration // since its beginning. Zero: never
	End         Ending
	After       time.Duration // from its last byte to its end
	EndsInMidst bool          // it ends after half of what it would send
	Cuts        bool          // over TLS, it ends without a close_notify, maybe in the midst of a record
	Garbles     int64         // over TLS, bytes after which a record is not what it was. Zero: never
	EndsAt      time.Duration // since its beginning it ends, whatever it has sent. Zero: not so
}

// plan makes the plan of a peer.
func (k *Kernel) plan() Plan {
	among := func(d ...time.Duration) time.Duration { return d[k.rng.IntN(len(d))] }
	p := Plan{
		Send:      []int{0, 1, 100, 1000, 5000, 20000, 60000}[k.rng.IntN(7)],
		Chunk:     []int{1 + k.rng.IntN(50), 1000, 10000, 1 << 20}[k.rng.IntN(4)],
		Every:     among(0, 0, 10*time.Microsecond, time.Millisecond),
		ReadEvery: among(0, 0, 50*time.Microsecond, time.Millisecond),
		StopAt:    -1,
		End:       Ending(k.rng.IntN(int(endings))),
		After:     among(0, time.Millisecond, 100*time.Millisecond),
	}
	p.Chunk = max(p.Chunk, p.Send/200)
	if k.rng.IntN(2) == 0 {
		p.Read = 200 + k.rng.IntN(5000)
	}
	if k.rng.IntN(4) == 0 {
		p.StopAt = int64(k.rng.IntN(20000))
		if k.rng.IntN(3) > 0 {
			p.ResumeAt = time.Duration(1+k.rng.IntN(3000)) * time.Millisecond
		}
	}
	p.EndsInMidst = k.rng.IntN(6) == 0
	if k.rng.IntN(6) == 0 {
		p.EndsAt = time.Duration(1+k.rng.IntN(500)) * time.Millisecond
	}
	return p
}
