package websocket

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// inflatePieces inflates a message that comes in pieces whose sizes cut returns.
func inflatePieces(p, history []byte, limit int, cut func() int) ([]byte, error) {
	z := new(pieceInflater)
	z.begin(history)
	var out []byte
	feed := func(p []byte) error {
		for {
			used, piece, err := z.next(p)
			if err != nil {
				return err
			}
			out = append(out, piece...)
			if p = p[used:]; len(p) == 0 && z.room() || len(out) > limit {
				return nil
			}
			if used == 0 && len(piece) == 0 {
				panic("no progress")
			}
		}
	}
	for len(p) > 0 {
		n := min(max(1, cut()), len(p))
		if err := feed(p[:n]); err != nil {
			return out, err
		}
		p = p[n:]
	}
	if err := feed(deflateTail[:4]); err != nil {
		return out, err
	}
	if !z.complete() {
		return out, errNotDeflate
	}
	return out, nil
}

// Whatever is compressed, however and wherever it is cut, comes out as it was.
func TestPiecesAreInflatedAsTheWholeIs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	size := 200_000
	if raceEnabled {
		size = 120_000 // still more than the window and a piece
	}
	for name, said := range payloads(random, size) {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			for _, history := range []string{"", said[:1000], said[:100_000]} {
				var b bytes.Buffer
				w, err := flate.NewWriterDict(&b, level, []byte(history))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(said); { // several blocks
					n := min(len(said)-i, 1+random.IntN(90_000))
					io.WriteString(w, said[i:i+n])
					w.Flush()
					i += n
				}
				p := bytes.TrimSuffix(b.Bytes(), deflateTail[:4])
				remembered := []byte(history)[max(0, len(history)-1<<maxWindowBits):]
				for cutName, cut := range map[string]func() int{
					"bytes": func() int { return 1 }, "whole": func() int { return len(p) }, "random": func() int { return random.IntN(3000) },
				} {
					out, err := inflatePieces(p, remembered, 1<<30, cut)
					if err != nil || string(out) != said {
						t.Errorf("%s, level %d, history %d, %s: %d bytes, %v", name, level, len(history), cutName, len(out), err)
					}
				}
			}
		}
	}
}

// A bomb comes out in pieces, each of which takes some of it.
func TestABombComesOutInPieces(t *testing.T) {
	const all = 8 << 20
	b := deflation{level: 9, bits: maxWindowBits}.compress(make([]byte, all), nil)
	z := new(pieceInflater)
	z.begin(nil)
	size, pieces := 0, 0
	for p := b.B; len(p) > 0; pieces++ {
		used, piece, err := z.next(p)
		if err != nil || used == 0 || len(piece) > pieceSize+longestMatch+1<<maxWindowBits {
			t.Fatalf("took %d of %d, gave %d, %v", used, len(p), len(piece), err)
		}
		p = p[used:]
		size += len(piece)
	}
	if size < all-1024 || pieces < 80 {
		t.Errorf("%d bytes in %d pieces", size, pieces)
	}
}

func FuzzInflatePieces(f *testing.F) {
	for _, s := range []string{"hello hello hello", "", strings.Repeat("x", 5000), string(said(3000))} {
		b := deflation{level: 6, bits: maxWindowBits}.compress([]byte(s), nil)
		f.Add(b.B, []byte("hello"), uint64(3))
	}
	f.Add([]byte("\x03\x00\x00"), []byte{}, uint64(0))
	f.Add([]byte("\x00\x05\x00\xfa\xffhello\x00"), []byte{}, uint64(1))
	f.Add([]byte("\x05\xc0\x81\x00\x00\x00\x00\x00\x90\xff\x6b\x04\x00"), []byte{}, uint64(1))
	f.Fuzz(func(t *testing.T, p, history []byte, seed uint64) {
		history = history[max(0, len(history)-1<<maxWindowBits):]
		const limit = 1 << 20
		random := rand.New(rand.NewPCG(seed, 0))
		out, err := inflatePieces(p, history, limit, func() int { return 1 + random.IntN(50) })
		whole, wholeErr := inflate(p, history, limit, false)
		if wholeErr == errTooBig || len(out) > limit {
			return
		}
		if (err == nil) != (wholeErr == nil) || err == nil && !bytes.Equal(out, whole.B) {
			t.Errorf("in pieces %d bytes, %v; whole %v", len(out), err, wholeErr)
		}
	})
}

// A compressed message that a Receiver has in part keeps its WebSocket where it is: what the rest refers to does not move.
func TestAWebSocketStaysWhileAMessageIsInflated(t *testing.T) {
	c := &Conn{handler: &moving{}, loop: &loop{settings: &settings{}}, subprotocol: -1, deflates: deflateOn | 15}
	c.sending.Store(sendOpen)
	in := &incoming{op: opBinary, compressed: true, fin: true, left: 5}
	c.more = &extra{in: in}
	if _, err := (*endpoint)(c).Move(nil); err != nil {
		t.Errorf("before its first byte: %v", err)
	}
	in.inflater = new(pieceInflater)
	if _, err := (*endpoint)(c).Move(nil); err != errStays {
		t.Errorf("after its first byte: %v", err)
	}
}

type moving struct{ partsEcho }

func (*moving) Move(*Conn) (switchboard.HandlerState, error) {
	return switchboard.HandlerState{Kind: "moving", Version: 1}, nil
}
