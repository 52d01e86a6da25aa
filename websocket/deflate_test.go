package websocket

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// said returns n bytes of the kind that is worth compressing.
func said(n int) []byte {
	random := rand.New(rand.NewPCG(uint64(n), 1))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id":%d,"user":"u%d","text":"grüße %d"},`, random.IntN(1e6), random.IntN(50), random.IntN(100))
	}
	return bytes.ToValidUTF8(b.Bytes()[:n], nil)
}

// inflated is what another implementation makes of a compressed message.
func inflated(t *testing.T, z, history []byte) []byte {
	t.Helper()
	p, err := io.ReadAll(stdflate.NewReaderDict(bytes.NewReader(append(bytes.Clone(z), deflateTail...)), history))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsCompressedIsInflated(t *testing.T) {
	for _, level := range []int{0, 1, 6, 9} {
		for _, size := range []int{0, 1, 100, 300, 5000, 70_000, 200_000} {
			for _, bits := range []int{8, 9, 12, 15} {
				p, history := said(size), said(3000)
				d := deflation{level, bits}
				for _, h := range [][]byte{nil, history} {
					z := d.compress(p, h)
					if got := inflated(t, z.B, h); !bytes.Equal(got, p) {
						t.Fatalf("level %d, %d bytes, window %d: another one inflates it to %d", level, size, bits, len(got))
					}
					out, err := inflate(z.B, h, 1<<20, true)
					if err != nil || !bytes.Equal(out.B, p) {
						t.Fatalf("level %d, %d bytes, window %d: inflated %v", level, size, bits, err)
					}
					buffer.Put(out)
					buffer.Put(z)
				}
			}
		}
	}
}

// Noise that comes again behind the end of the window cannot become shorter.
func TestCompressionKeepsToTheWindow(t *testing.T) {
	for _, bits := range []int{8, 9, 10, 13} {
		window := 1 << bits
		block := make([]byte, window) // the same again after exactly more than a window
		random := rand.New(rand.NewPCG(7, 7))
		for i := range block {
			block[i] = byte(random.Uint32())
		}
		p := append(append(bytes.Clone(block), 'x'), block...)
		for level := range 10 {
			z := deflation{level, bits}.compress(p, nil)
			if len(z.B) < len(p)-window/4 {
				t.Errorf("window of %d bytes, level %d: %d bytes became %d, by what lies behind the window", window, level, len(p), len(z.B))
			}
			wide := deflation{level, 15}.compress(p, nil)
			if level > 0 && len(wide.B) > len(p)*3/4 {
				t.Errorf("level %d: %d bytes became %d, so this test shows nothing", level, len(p), len(wide.B))
			}
		}
	}
}

func TestInflatingStopsAtTheLimit(t *testing.T) {
	const limit = 1 << 16
	for _, c := range []struct {
		size int
		ok   bool
	}{{limit, true}, {limit + 1, false}, {limit * 300, false}} {
		bomb := deflation{9, 15}.compress(make([]byte, c.size), nil)
		out, err := inflate(bomb.B, nil, limit, false)
		if (err == nil) != c.ok || !c.ok && err != error(errTooBig) {
			t.Errorf("%d bytes: %v", c.size, err)
		}
		if err == nil && len(out.B) != c.size {
			t.Errorf("%d bytes became %d", c.size, len(out.B))
		}
	}
}

func TestWrongCompressionIsTold(t *testing.T) {
	good := deflation{6, 15}.compress(said(1000), nil).B
	for name, z := range map[string][]byte{
		"a reserved block type":              {0x07},
		"a stored block with a wrong length": {0x00, 0x05, 0x00, 0x00, 0x00},
		"cut off":                            good[:len(good)/2],
		"noise":                              []byte("this was never compressed, and is told"),
	} {
		if out, err := inflate(z, nil, 1<<20, false); err != error(errNotDeflate) {
			t.Errorf("%s: %v %v", name, out, err)
		}
	}
	invalid := deflation{6, 15}.compress([]byte(strings.Repeat("a", 600)+"\xff"), nil).B
	if _, err := inflate(invalid, nil, 1<<20, true); err != error(errNotUTF8) {
		t.Errorf("a text that is not UTF-8: %v", err)
	}
	half := deflation{6, 15}.compress([]byte(strings.Repeat("a", 600)+"\xe2\x82"), nil).B
	if _, err := inflate(half, nil, 1<<20, true); err != error(errNotUTF8) {
		t.Errorf("a text that ends inside a character: %v", err)
	}
}

// The examples of RFC 7692, section 7.2.3.
func TestExamplesOfTheRFC(t *testing.T) {
	for name, c := range map[string]struct {
		z, history []byte
	}{
		"one block":                  {[]byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, nil},
		"with the window":            {[]byte{0xf2, 0x00, 0x11, 0x00, 0x00}, []byte("Hello")},
		"without compression":        {[]byte{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}, nil},
		"a block marked as the last": {[]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, nil},
		"two blocks":                 {[]byte{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}, nil},
	} {
		out, err := inflate(c.z, c.history, 100, true)
		if err != nil || string(out.B) != "Hello" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzInflate(f *testing.F) {
	f.Add([]byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, []byte(nil))
	f.Add([]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, []byte("Hello"))
	f.Add(deflation{1, 15}.compress(said(2000), nil).B, []byte("x"))
	f.Fuzz(func(t *testing.T, z, history []byte) {
		const limit = 1 << 16
		if out, err := inflate(z, history, limit, false); err == nil {
			if len(out.B) > limit {
				t.Fatalf("%d bytes", len(out.B))
			}
			buffer.Put(out)
		}
		for level := range 3 {
			d := deflation{level * 3, 9}
			c := d.compress(z, history)
			out, err := inflate(c.B, history, int64(len(z)), false)
			if err != nil || !bytes.Equal(out.B, z) {
				t.Fatalf("%d bytes do not come back: %v", len(z), err)
			}
			buffer.Put(out)
			buffer.Put(c)
		}
	})
}
