package websocket

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// BenchmarkMask compares unmasking with the naive loop, and with copying, which is the speed of memory.
func BenchmarkMask(b *testing.B) {
	for _, size := range []int{64, 1024, 64 << 10} {
		p, q := make([]byte, size), make([]byte, size)
		for name, f := range map[string]func(){
			"naive": func() {
				key := [4]byte{1, 2, 3, 4}
				for i := range p {
					p[i] ^= key[i%4]
				}
			},
			"mask": func() { mask(p, 0x04030201) },
			"copy": func() { copy(q, p) },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					f()
				}
			})
		}
	}
}

// BenchmarkEcho sends messages in batches, so that a system call is shared by many.
func BenchmarkEcho(b *testing.B) {
	for _, engine := range switchboard.Engines()[:2] {
		b.Run(engine, func(b *testing.B) {
			r := dialRaw(b, serve(b, &Upgrader{Handler: echo}, &switchboard.Server{Engine: engine, Loops: 1, Logger: quiet}))
			const batch = 100
			say := bytes.Repeat(frame(0x82, true, strings.Repeat("x", 64)), batch)
			answers := make([]byte, 66*batch)
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				r.conn.Write(say)
				if _, err := io.ReadFull(r.in, answers); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReader is the parser alone.
func BenchmarkReader(b *testing.B) {
	for _, size := range []int{16, 64, 1024, 16 << 10} {
		for _, first := range []byte{0x81, 0x82} {
			b.Run(fmt.Sprintf("%#x/%d", first, size), func(b *testing.B) {
				input := frame(first, true, strings.Repeat("x", size))
				p := make([]byte, len(input))
				var in *incoming
				b.SetBytes(int64(size))
				for b.Loop() {
					copy(p, input)
					if n, _, err := next(&in, p, &fromClient); n != len(p) {
						b.Fatal(n, err)
					}
				}
			})
		}
	}
}
