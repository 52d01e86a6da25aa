package frame

import (
	"bytes"
	"testing"
)

// Both directions of one message of 64 bytes, in every format.
//
//	go test -bench . -benchmem ./frame

var benchFormats = []struct {
	name string
	f    Format
}{
	{"Fixed", Fixed(64)},
	{"Lines", Lines(0)},
	{"DelimiterOf4", Delimiter("\r\n\r\n", 0)},
	{"LengthPrefixOf4", LengthPrefix(4, nil, 0)},
	{"Decimal", Decimal(5, 0)},
	{"Varint", Varint(0)},
	{"Netstring", Netstring(0)},
	{"ByType", ByType(func(byte) int { return 63 }, 0)},
	{"EndOfStream", EndOfStream(0)},
}

func BenchmarkSplit(b *testing.B) {
	for _, bench := range benchFormats {
		b.Run(bench.name, func(b *testing.B) {
			framed, err := bench.f.Append(nil, bytes.Repeat([]byte("x"), 64))
			if err != nil {
				b.Fatal(err)
			}
			split := bench.f.Split
			b.SetBytes(64)
			b.ReportAllocs()
			for b.Loop() {
				if _, message, err := split(framed, true); len(message) != 64 || err != nil {
					b.Fatal(len(message), err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, bench := range benchFormats {
		b.Run(bench.name, func(b *testing.B) {
			message := bytes.Repeat([]byte("x"), 64)
			buf := make([]byte, 0, 128)
			b.SetBytes(64)
			b.ReportAllocs()
			for b.Loop() {
				if framed, err := bench.f.Append(buf, message); len(framed) < 64 || err != nil {
					b.Fatal(len(framed), err)
				}
			}
		})
	}
}

// A message of 1 MiB offered again with each 4 KiB that follow: what asking too early would cost.
func BenchmarkGrowingPrefix(b *testing.B) {
	const size, step = 1 << 20, 4 << 10
	for _, bench := range []struct {
		name string
		f    Format
	}{{"LengthPrefix", LengthPrefix(4, nil, size)}, {"Lines", Lines(size)}} {
		b.Run(bench.name, func(b *testing.B) {
			framed, err := bench.f.Append(nil, bytes.Repeat([]byte("x"), size))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				read := 0
				for n := step; read == 0; n = min(n+step, len(framed)) {
					_, message, err := bench.f.Split(framed[:n], false)
					if err != nil {
						b.Fatal(err)
					}
					read = len(message)
				}
			}
		})
	}
}
